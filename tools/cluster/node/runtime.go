package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// A runtime is what the kubelet calls to have pods. What is not written here answers Unimplemented, which the kubelet
// takes.
type podRuntime struct {
	cri.UnimplementedRuntimeServiceServer
	images  *imageService
	root    string
	pods    string
	gateway string

	// Guards all that follows, and what the sandboxes and containers say of themselves.
	mutex      sync.Mutex
	sandboxes  map[string]*sandbox
	containers map[string]*container
	addresses  int
}

// A sandbox is a pod's network.
type sandbox struct {
	id, address string
	config      *cri.PodSandboxConfig
	ready       bool
	created     time.Time
}

func newRuntime(root, pods, gateway, repository, program string) (*podRuntime, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(program); err != nil {
		return nil, err
	}
	return &podRuntime{
		images:     &imageService{repository: repository, program: program, root: root},
		root:       root,
		pods:       pods,
		gateway:    gateway,
		sandboxes:  map[string]*sandbox{},
		containers: map[string]*container{},
	}, os.MkdirAll(root, 0o755)
}

func newID() string { return strings.ToLower(rand.Text()) }

// All of these commands end at once, and say on their standard error what is wrong.
func command(name string, arguments ...string) error {
	output, err := exec.Command(name, arguments...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %s", name, strings.Join(arguments, " "), strings.TrimSpace(string(output)))
	}
	return nil
}

func (r *podRuntime) Version(context.Context, *cri.VersionRequest) (*cri.VersionResponse, error) {
	return &cri.VersionResponse{Version: "0.1.0", RuntimeName: "namespaces", RuntimeVersion: "1", RuntimeApiVersion: "v1"}, nil
}

func (r *podRuntime) Status(context.Context, *cri.StatusRequest) (*cri.StatusResponse, error) {
	return &cri.StatusResponse{Status: &cri.RuntimeStatus{Conditions: []*cri.RuntimeCondition{
		{Type: "RuntimeReady", Status: true},
		{Type: "NetworkReady", Status: true},
	}}}, nil
}

func (r *podRuntime) RuntimeConfig(context.Context, *cri.RuntimeConfigRequest) (*cri.RuntimeConfigResponse, error) {
	return &cri.RuntimeConfigResponse{Linux: &cri.LinuxRuntimeConfiguration{CgroupDriver: cri.CgroupDriver_CGROUPFS}}, nil
}

func (r *podRuntime) UpdateRuntimeConfig(context.Context, *cri.UpdateRuntimeConfigRequest) (*cri.UpdateRuntimeConfigResponse, error) {
	return &cri.UpdateRuntimeConfigResponse{}, nil
}

func (r *podRuntime) RunPodSandbox(_ context.Context, request *cri.RunPodSandboxRequest) (*cri.RunPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	// Addresses are not used twice: a node of a test does not live for 250 pods.
	r.addresses++
	if r.addresses > 250 {
		return nil, status.Error(codes.ResourceExhausted, "no address is left on this node")
	}
	s := &sandbox{
		id:      newID(),
		address: fmt.Sprintf("%s.%d", r.pods, r.addresses),
		config:  request.Config,
		ready:   true,
		created: time.Now(),
	}
	if err := s.makeNetwork(r.gateway, "veth"+s.id[:10]); err != nil {
		s.removeNetwork()
		return nil, err
	}
	r.sandboxes[s.id] = s
	return &cri.RunPodSandboxResponse{PodSandboxId: s.id}, nil
}

// A pod has one neighbour, the machine, and all its packets go there, even those to another pod: only so can what is
// sent to a Service's address be rewritten in both directions.
func (s *sandbox) makeNetwork(gateway, outside string) error {
	for _, line := range []string{
		"ip netns add " + s.id,
		"ip link add " + outside + " type veth peer name eth0 netns " + s.id,

		"ip link set " + outside + " up",
		"ip route add " + s.address + "/32 dev " + outside + " src " + gateway,
		"ip -n " + s.id + " link set lo up",
		"ip -n " + s.id + " link set eth0 up",
		"ip -n " + s.id + " address add " + s.address + "/32 dev eth0",
		"ip -n " + s.id + " route add " + gateway + "/32 dev eth0",
		"ip -n " + s.id + " route add default via " + gateway,
	} {
		words := strings.Fields(line)
		if err := command(words[0], words[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// The pair of devices goes with the namespace, as soon as the last process in it has ended.
func (s *sandbox) removeNetwork() { _ = command("ip", "netns", "delete", s.id) }

func (r *podRuntime) StopPodSandbox(_ context.Context, request *cri.StopPodSandboxRequest) (*cri.StopPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if s := r.sandboxes[request.PodSandboxId]; s != nil && s.ready {
		for _, c := range r.containers {
			if c.sandbox == s {
				c.signal(killSignal)
			}
		}
		s.removeNetwork()
		s.ready = false
	}
	return &cri.StopPodSandboxResponse{}, nil
}

func (r *podRuntime) RemovePodSandbox(_ context.Context, request *cri.RemovePodSandboxRequest) (*cri.RemovePodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if s := r.sandboxes[request.PodSandboxId]; s != nil {
		if s.ready {
			return nil, status.Error(codes.FailedPrecondition, "the sandbox is not stopped")
		}
		maps.DeleteFunc(r.containers, func(_ string, c *container) bool { return c.sandbox == s })
		delete(r.sandboxes, s.id)
	}
	return &cri.RemovePodSandboxResponse{}, nil
}

func (s *sandbox) state() cri.PodSandboxState {
	if s.ready {
		return cri.PodSandboxState_SANDBOX_READY
	}
	return cri.PodSandboxState_SANDBOX_NOTREADY
}

func (r *podRuntime) PodSandboxStatus(_ context.Context, request *cri.PodSandboxStatusRequest) (*cri.PodSandboxStatusResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	s := r.sandboxes[request.PodSandboxId]
	if s == nil {
		return nil, status.Errorf(codes.NotFound, "there is no sandbox %s", request.PodSandboxId)
	}
	return &cri.PodSandboxStatusResponse{Status: &cri.PodSandboxStatus{
		Id:          s.id,
		Metadata:    s.config.Metadata,
		State:       s.state(),
		CreatedAt:   s.created.UnixNano(),
		Network:     &cri.PodSandboxNetworkStatus{Ip: s.address},
		Linux:       &cri.LinuxPodSandboxStatus{Namespaces: &cri.Namespace{Options: s.config.GetLinux().GetSecurityContext().GetNamespaceOptions()}},
		Labels:      s.config.Labels,
		Annotations: s.config.Annotations,
	}}, nil
}

func (r *podRuntime) ListPodSandbox(_ context.Context, request *cri.ListPodSandboxRequest) (*cri.ListPodSandboxResponse, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	filter, answer := request.GetFilter(), &cri.ListPodSandboxResponse{}
	for _, s := range r.sandboxes {
		if (filter.GetId() != "" && filter.Id != s.id) || (filter.GetState() != nil && filter.State.State != s.state()) ||
			!selects(filter.GetLabelSelector(), s.config.Labels) {
			continue
		}
		answer.Items = append(answer.Items, &cri.PodSandbox{
			Id:          s.id,
			Metadata:    s.config.Metadata,
			State:       s.state(),
			CreatedAt:   s.created.UnixNano(),
			Labels:      s.config.Labels,
			Annotations: s.config.Annotations,
		})
	}
	return answer, nil
}

func selects(selector, labels map[string]string) bool {
	for name, value := range selector {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// An image service has one image, whatever its tag or digest, and its program.
type imageService struct {
	cri.UnimplementedImageServiceServer
	repository, program, root string
}

// The user that the image names, as distroless images do.
const imageUser = 65532

func (i *imageService) has(image string) bool {
	repository, _, _ := strings.Cut(image, "@")
	if slash, colon := strings.LastIndex(repository, "/"), strings.LastIndex(repository, ":"); colon > slash {
		repository = repository[:colon]
	}
	return repository == i.repository || strings.HasSuffix(repository, "/"+i.repository)
}

func (i *imageService) image(name string) *cri.Image {
	return &cri.Image{Id: name, RepoTags: []string{name}, Size: 1, Uid: &cri.Int64Value{Value: imageUser}}
}

func (i *imageService) ListImages(context.Context, *cri.ListImagesRequest) (*cri.ListImagesResponse, error) {
	return &cri.ListImagesResponse{Images: []*cri.Image{i.image(i.repository)}}, nil
}

func (i *imageService) ImageStatus(_ context.Context, request *cri.ImageStatusRequest) (*cri.ImageStatusResponse, error) {
	if !i.has(request.Image.Image) {
		return &cri.ImageStatusResponse{}, nil
	}
	return &cri.ImageStatusResponse{Image: i.image(request.Image.Image)}, nil
}

func (i *imageService) PullImage(_ context.Context, request *cri.PullImageRequest) (*cri.PullImageResponse, error) {
	if !i.has(request.Image.Image) {
		return nil, status.Errorf(codes.NotFound, "this node has no image but %s", i.repository)
	}
	return &cri.PullImageResponse{ImageRef: request.Image.Image}, nil
}

func (i *imageService) ImageFsInfo(context.Context, *cri.ImageFsInfoRequest) (*cri.ImageFsInfoResponse, error) {
	return &cri.ImageFsInfoResponse{ImageFilesystems: []*cri.FilesystemUsage{{
		Timestamp:  time.Now().UnixNano(),
		FsId:       &cri.FilesystemIdentifier{Mountpoint: i.root},
		UsedBytes:  &cri.UInt64Value{Value: 1},
		InodesUsed: &cri.UInt64Value{Value: 1},
	}}}, nil
}
