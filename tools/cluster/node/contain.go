package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// A confinement is what a container's first process needs to know, written by the runtime to a file.
type confinement struct {
	Root, Program, Hostname, Resolver string
	Command, Environment              []string
	Directory                         string
	User, Group                       int
	Groups                            []int
	ReadonlyRoot, NoNewPrivileges     bool
	DropCapabilities                  bool
	Mounts                            []mount
}

type mount struct {
	From, To string
	Readonly bool
}

// Where the image has its program, which is on the PATH below.
const programPath = "/usr/local/bin/portcullis"

// Contain makes the file system of the image around this process, gives up what the pod's security context says, and
// becomes the container's command. It runs in namespaces that the runtime made.
func contain(file string) error {
	// What is given up is given up by a thread, and it is the thread that calls exec which counts.
	runtime.LockOSThread()
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c confinement
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(c.Hostname)); err != nil {
		return err
	}
	if err := c.makeRoot(); err != nil {
		return fmt.Errorf("cannot make the container's file system: %w", err)
	}
	os.Clearenv()
	for _, variable := range c.Environment {
		name, value, _ := strings.Cut(variable, "=")
		os.Setenv(name, value)
	}
	if err := c.giveUpPrivileges(); err != nil {
		return fmt.Errorf("cannot give up privileges: %w", err)
	}
	// Looked for as the user that will run it.
	program, err := exec.LookPath(c.Command[0])
	if err != nil {
		return err
	}
	return unix.Exec(program, c.Command, os.Environ())
}

// The image has the program and nothing to run beside it: no shell. The libraries are this machine's, because the
// program that is tested is the one that was built here.
func (c *confinement) makeRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Root, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("image", c.Root, "tmpfs", 0, "mode=755"); err != nil {
		return err
	}
	for _, folder := range []string{"proc", "dev", "etc", "tmp", "run", "usr/local/bin"} {
		if err := os.MkdirAll(filepath.Join(c.Root, folder), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(c.Root, "tmp"), 0o1777); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"passwd":        "root:x:0:0::/:/sbin/nologin\nnonroot:x:65532:65532::/:/sbin/nologin\n",
		"group":         "root:x:0:\nnonroot:x:65532:\n",
		"nsswitch.conf": "hosts: files dns\n",
		"resolv.conf":   c.Resolver,
	} {
		if err := os.WriteFile(filepath.Join(c.Root, "etc", name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	mounts := []mount{{c.Program, programPath, true}}
	for _, folder := range []string{"/lib", "/lib64", "/usr/lib", "/etc/ssl/certs"} {
		if _, err := os.Stat(folder); err == nil {
			mounts = append(mounts, mount{folder, folder, true})
		}
	}
	for _, device := range []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"} {
		mounts = append(mounts, mount{device, device, false})
	}
	for _, m := range append(mounts, c.Mounts...) {
		if err := c.bind(m); err != nil {
			return fmt.Errorf("%s: %w", m.To, err)
		}
	}
	if err := unix.Mount("proc", filepath.Join(c.Root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	if c.ReadonlyRoot {
		if err := unix.Mount("", c.Root, "", unix.MS_REMOUNT|unix.MS_RDONLY, "mode=755"); err != nil {
			return err
		}
	}
	if err := unix.Chdir(c.Root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return err
	}
	// The machine's own root is now on top of the new one.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return err
	}
	return unix.Chdir(c.Directory)
}

func (c *confinement) bind(m mount) error {
	to := filepath.Join(c.Root, m.To)
	found, err := os.Stat(m.From)
	if err != nil {
		return err
	}
	if found.IsDir() {
		err = os.MkdirAll(to, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
		var file *os.File
		if file, err = os.OpenFile(to, os.O_CREATE, 0o644); err == nil {
			err = file.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(m.From, to, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	if m.Readonly {
		return unix.Mount("", to, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	return nil
}

func (c *confinement) giveUpPrivileges() error {
	if c.DropCapabilities {
		for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				return err
			}
		}
	}
	if err := unix.Setgroups(c.Groups); err != nil {
		return err
	}
	if err := unix.Setresgid(c.Group, c.Group, c.Group); err != nil {
		return err
	}
	if err := unix.Setresuid(c.User, c.User, c.User); err != nil {
		return err
	}
	if c.NoNewPrivileges {
		return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
	}
	return nil
}
