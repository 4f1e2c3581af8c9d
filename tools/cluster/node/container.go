package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A container is one process, in the network of its pod and with a file system of its own.
type container struct {
	id      string
	sandbox *sandbox
	config  *cri.ContainerConfig
	state   cri.ContainerState
	process *exec.Cmd
	// Closed when the process has ended and its output is written.
	ended                      chan struct{}
	created, started, finished time.Time
	exitCode                   int32
}

const (
	killSignal = syscall.SIGKILL
	searchPath = "PATH=/usr/local/bin:/usr/bin:/bin"
)

func (r *podRuntime) CreateContainer(_ context.Context, request *cri.CreateContainerRequest) (*cri.CreateContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := r.sandboxes[request.PodSandboxId]
	if s == nil {
		return nil, status.Errorf(codes.NotFound, "there is no sandbox %s", request.PodSandboxId)
	}
	c := &container{id: newID(), sandbox: s, config: request.Config, created: time.Now(), ended: make(chan struct{})}
	r.containers[c.id] = c
	return &cri.CreateContainerResponse{ContainerId: c.id}, nil
}

func (r *podRuntime) find(id string) (*container, error) {
	if c := r.containers[id]; c != nil {
		return c, nil
	}
	return nil, status.Errorf(codes.NotFound, "there is no container %s", id)
}

func (r *podRuntime) StartContainer(_ context.Context, request *cri.StartContainerRequest) (*cri.StartContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	c, err := r.find(request.ContainerId)
	if err != nil {
		return nil, err
	}
	if err := r.start(c); err != nil {
		return nil, err
	}
	return &cri.StartContainerResponse{}, nil
}

func (r *podRuntime) start(c *container) error {
	folder := filepath.Join(r.root, c.id)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	text, err := json.Marshal(r.confine(c, filepath.Join(folder, "root")))
	if err != nil {
		return err
	}
	file := filepath.Join(folder, "confinement.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	logs := filepath.Join(c.sandbox.config.LogDirectory, c.config.LogPath)
	if err := os.MkdirAll(filepath.Dir(logs), 0o755); err != nil {
		return err
	}
	log, err := os.OpenFile(logs, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// Process 1 of a namespace of its own, as in any container: what it does not handle of signals it does not get, and
	// nothing that it started outlives it.
	c.process = exec.Command("ip", "netns", "exec", c.sandbox.id, self, "contain", file)
	c.process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Setpgid:    true,
	}
	var lines sync.Mutex
	output := &logger{file: log, stream: "stdout", lines: &lines}
	errors := &logger{file: log, stream: "stderr", lines: &lines}
	c.process.Stdout, c.process.Stderr = output, errors
	if err := c.process.Start(); err != nil {
		return err
	}
	c.state, c.started = cri.ContainerState_CONTAINER_RUNNING, time.Now()
	go func() {
		_ = c.process.Wait()
		output.end()
		errors.end()
		log.Close()
		r.mutex.Lock()
		defer r.mutex.Unlock()
		c.state, c.finished = cri.ContainerState_CONTAINER_EXITED, time.Now()
		ended := c.process.ProcessState.Sys().(syscall.WaitStatus)
		c.exitCode = int32(ended.ExitStatus())
		if ended.Signaled() {
			c.exitCode = 128 + int32(ended.Signal())
		}
		close(c.ended)
	}()
	return nil
}

func (r *podRuntime) confine(c *container, root string) *confinement {
	security := c.config.GetLinux().GetSecurityContext()
	confined := &confinement{
		Root:             root,
		Program:          r.images.program,
		Hostname:         c.sandbox.config.Hostname,
		Command:          append(slices.Clone(c.config.Command), c.config.Args...),
		Environment:      []string{searchPath},
		Directory:        c.config.WorkingDir,
		User:             imageUser,
		Group:            imageUser,
		ReadonlyRoot:     security.GetReadonlyRootfs(),
		NoNewPrivileges:  security.GetNoNewPrivs(),
		DropCapabilities: slices.Contains(security.GetCapabilities().GetDropCapabilities(), "ALL"),
	}
	if len(c.config.Command) == 0 {
		// The image's entry point.
		confined.Command = append([]string{programPath}, confined.Command...)
	}
	if confined.Directory == "" {
		confined.Directory = "/"
	}
	if user := security.GetRunAsUser(); user != nil {
		// A user that the image does not know has the group 0, as everywhere.
		confined.User, confined.Group = int(user.Value), 0
		if user.Value == imageUser {
			confined.Group = imageUser
		}
	}
	if group := security.GetRunAsGroup(); group != nil {
		confined.Group = int(group.Value)
	}
	for _, group := range security.GetSupplementalGroups() {
		confined.Groups = append(confined.Groups, int(group))
	}
	for _, variable := range c.config.Envs {
		confined.Environment = append(confined.Environment, variable.Key+"="+string(variable.Value))
	}
	for _, m := range c.config.Mounts {
		confined.Mounts = append(confined.Mounts, mount{m.HostPath, m.ContainerPath, m.Readonly})
	}
	dns := c.sandbox.config.GetDnsConfig()
	for _, server := range dns.GetServers() {
		confined.Resolver += "nameserver " + server + "\n"
	}
	for i, words := range [][]string{dns.GetSearches(), dns.GetOptions()} {
		if len(words) > 0 {
			confined.Resolver += []string{"search", "options"}[i]
			for _, word := range words {
				confined.Resolver += " " + word
			}
			confined.Resolver += "\n"
		}
	}
	return confined
}

func (c *container) signal(signal syscall.Signal) {
	if c.state == cri.ContainerState_CONTAINER_RUNNING {
		_ = c.process.Process.Signal(signal)
	}
}

func (r *podRuntime) StopContainer(_ context.Context, request *cri.StopContainerRequest) (*cri.StopContainerResponse, error) {
	r.mutex.Lock()
	c, err := r.find(request.ContainerId)
	running := err == nil && c.state == cri.ContainerState_CONTAINER_RUNNING
	if running {
		c.signal(syscall.SIGTERM)
	}
	r.mutex.Unlock()
	if running {
		select {
		case <-c.ended:
		case <-time.After(time.Duration(request.Timeout) * time.Second):
			r.mutex.Lock()
			c.signal(killSignal)
			r.mutex.Unlock()
			<-c.ended
		}
	}
	// A container that is not there is stopped.
	return &cri.StopContainerResponse{}, nil
}

func (r *podRuntime) RemoveContainer(_ context.Context, request *cri.RemoveContainerRequest) (*cri.RemoveContainerResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if c := r.containers[request.ContainerId]; c != nil {
		c.signal(killSignal)
		delete(r.containers, c.id)
		_ = os.RemoveAll(filepath.Join(r.root, c.id))
	}
	return &cri.RemoveContainerResponse{}, nil
}

func (r *podRuntime) ListContainers(_ context.Context, request *cri.ListContainersRequest) (*cri.ListContainersResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	filter, answer := request.GetFilter(), &cri.ListContainersResponse{}
	for _, c := range r.containers {
		if (filter.GetId() != "" && filter.Id != c.id) || (filter.GetPodSandboxId() != "" && filter.PodSandboxId != c.sandbox.id) ||
			(filter.GetState() != nil && filter.State.State != c.state) || !selects(filter.GetLabelSelector(), c.config.Labels) {
			continue
		}
		answer.Containers = append(answer.Containers, &cri.Container{
			Id:           c.id,
			PodSandboxId: c.sandbox.id,
			Metadata:     c.config.Metadata,
			Image:        c.config.Image,
			ImageRef:     c.config.Image.Image,
			ImageId:      c.config.Image.Image,
			State:        c.state,
			CreatedAt:    c.created.UnixNano(),
			Labels:       c.config.Labels,
			Annotations:  c.config.Annotations,
		})
	}
	return answer, nil
}

func (r *podRuntime) ContainerStatus(_ context.Context, request *cri.ContainerStatusRequest) (*cri.ContainerStatusResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	c, err := r.find(request.ContainerId)
	if err != nil {
		return nil, err
	}
	answer := &cri.ContainerStatus{
		Id:          c.id,
		Metadata:    c.config.Metadata,
		State:       c.state,
		CreatedAt:   c.created.UnixNano(),
		Image:       c.config.Image,
		ImageRef:    c.config.Image.Image,
		ImageId:     c.config.Image.Image,
		Labels:      c.config.Labels,
		Annotations: c.config.Annotations,
		Mounts:      c.config.Mounts,
		LogPath:     filepath.Join(c.sandbox.config.LogDirectory, c.config.LogPath),
		ExitCode:    c.exitCode,
	}
	if !c.started.IsZero() {
		answer.StartedAt = c.started.UnixNano()
	}
	if !c.finished.IsZero() {
		answer.FinishedAt = c.finished.UnixNano()
		answer.Reason = map[bool]string{true: "Completed", false: "Error"}[c.exitCode == 0]
	}
	return &cri.ContainerStatusResponse{Status: answer}, nil
}

func (r *podRuntime) UpdateContainerResources(context.Context, *cri.UpdateContainerResourcesRequest) (*cri.UpdateContainerResourcesResponse, error) {
	return &cri.UpdateContainerResourcesResponse{}, nil
}

func (r *podRuntime) ReopenContainerLog(context.Context, *cri.ReopenContainerLogRequest) (*cri.ReopenContainerLogResponse, error) {
	return &cri.ReopenContainerLogResponse{}, nil
}

// ExecSync is what a probe of the kind `exec` uses.
func (r *podRuntime) ExecSync(ctx context.Context, request *cri.ExecSyncRequest) (*cri.ExecSyncResponse, error) {
	r.mutex.Lock()
	c, err := r.find(request.ContainerId)
	if err != nil || c.state != cri.ContainerState_CONTAINER_RUNNING {
		r.mutex.Unlock()
		return nil, status.Errorf(codes.NotFound, "the container %s does not run", request.ContainerId)
	}
	confined, process := r.confine(c, ""), fmt.Sprint(c.process.Process.Pid)
	r.mutex.Unlock()
	if request.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(request.Timeout)*time.Second)
		defer cancel()
	}
	arguments := []string{"--target", process, "--mount", "--net", "--pid", "--ipc", "--uts", "--root",
		"--setuid", fmt.Sprint(confined.User), "--setgid", fmt.Sprint(confined.Group), "--wd=/", "--"}
	run := exec.CommandContext(ctx, "nsenter", append(arguments, request.Cmd...)...)
	run.Env = confined.Environment
	var output, failure bytes.Buffer
	run.Stdout, run.Stderr = &output, &failure
	answer := &cri.ExecSyncResponse{}
	if err := run.Run(); ctx.Err() != nil {
		return nil, status.Error(codes.DeadlineExceeded, "the command ran into its time limit")
	} else if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		answer.ExitCode = int32(ended.ExitCode())
	} else if err != nil {
		return nil, err
	}
	answer.Stdout, answer.Stderr = output.Bytes(), failure.Bytes()
	return answer, nil
}

// A logger writes what comes out of a container in the way in which the kubelet reads it.
type logger struct {
	file   io.Writer
	stream string
	lines  *sync.Mutex
	rest   []byte
}

func (l *logger) Write(text []byte) (int, error) {
	reader := bufio.NewReader(io.MultiReader(bytes.NewReader(l.rest), bytes.NewReader(text)))
	for {
		line, err := reader.ReadBytes('\n')
		if err != nil {
			l.rest = line
			return len(text), nil
		}
		l.line(line)
	}
}

func (l *logger) line(line []byte) {
	l.lines.Lock()
	defer l.lines.Unlock()
	fmt.Fprintf(l.file, "%s %s F %s", time.Now().Format(time.RFC3339Nano), l.stream, line)
}

func (l *logger) end() {
	if len(l.rest) > 0 {
		l.line(append(l.rest, '\n'))
	}
}
