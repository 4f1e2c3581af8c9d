// Node runs pods on a machine that has no container runtime. It is the real kubelet, which talks to a small container
// runtime in this same process: that runtime knows one image, and starts its program in namespaces of its own.
//
// It is one program with several uses: a node (`node run`), the name server of the cluster (`node dns`), calls that go
// on while the service is replaced (`node load`), and the first process of a container (`node contain`, which only
// `run` starts).
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	cadvisorapi "github.com/google/cadvisor/lib/model"
	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/klog/v2"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
	"k8s.io/kubernetes/cmd/kubelet/app/options"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	cadvisor "k8s.io/kubernetes/pkg/kubelet/cadvisor/testing"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/util/oom"
)

func main() {
	var err error
	switch command := append(os.Args, "")[1]; command {
	case "run":
		err = run(os.Args[2:])
	case "dns":
		err = serveNames(os.Args[2:])
	case "load":
		err = load(os.Args[2:])
	case "contain":
		err = contain(os.Args[2])
	default:
		err = fmt.Errorf("usage: node run|dns|load FLAG...")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(127)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	name := flags.String("name", "", "the node's name")
	zone := flags.String("zone", "", "its label topology.kubernetes.io/zone")
	address := flags.String("address", "", "its address, which is on an interface of this machine")
	pods := flags.String("pods", "", "the first three numbers of its pods' addresses: 10.88.1")
	config := flags.String("kubeconfig", "", "how to reach the API server")
	dns := flags.String("dns", "", "the address of the name server")
	root := flags.String("root", "", "a folder for all that it keeps")
	image := flags.String("image", "", "the one image that there is: NAME=PROGRAM")
	if err := flags.Parse(args); err != nil {
		return err
	}
	repository, program, _ := strings.Cut(*image, "=")
	runtime, err := newRuntime(filepath.Join(*root, "runtime"), *pods, *address, repository, program)
	if err != nil {
		return err
	}
	socket := filepath.Join(*root, "runtime.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	cri.RegisterRuntimeServiceServer(server, runtime)
	cri.RegisterImageServiceServer(server, runtime.images)
	go func() { klog.Fatal(server.Serve(listener)) }()

	settings, err := options.NewKubeletServer()
	if err != nil {
		return err
	}
	settings.HostnameOverride = *name
	settings.NodeIP = *address
	settings.NodeLabels = map[string]string{"topology.kubernetes.io/zone": *zone}
	settings.KubeConfig = *config
	settings.RootDirectory = filepath.Join(*root, "kubelet")
	settings.CertDirectory = filepath.Join(*root, "certificates")
	settings.Address = *address
	settings.HealthzPort = 0
	settings.PodLogsDir = filepath.Join(*root, "logs")
	settings.ContainerRuntimeEndpoint = "unix://" + socket
	settings.ClusterDNS = []string{*dns}
	settings.ClusterDomain = "cluster.local"
	settings.ResolverConfig = ""
	// The machine's own ways of limiting what runs on it are left alone: see `machine`.
	settings.CgroupsPerQOS = false
	settings.EnforceNodeAllocatable = nil
	settings.EvictionHard = nil
	settings.ImageGCHighThresholdPercent = 100
	settings.LocalStorageCapacityIsolation = false
	settings.FailSwapOn = false
	settings.FailCgroupV1 = false
	settings.MaxOpenFiles = 65536
	// The servers listen in a network of this cluster's own, and only the API server knows their address.
	settings.Authentication.Anonymous.Enabled = true
	settings.Authentication.Webhook.Enabled = false
	settings.Authorization.Mode = kubeletconfig.KubeletAuthorizationModeAlwaysAllow
	// A changed ConfigMap is seen in a pod after this time; a minute would be long for a test.
	settings.SyncFrequency = metav1.Duration{Duration: 5 * time.Second}

	ctx := context.Background()
	parts, err := kubelet.UnsecuredDependencies(ctx, settings, utilfeature.DefaultFeatureGate)
	if err != nil {
		return err
	}
	parts.CAdvisorInterface = &machine{}
	parts.ContainerManager = cm.NewStubContainerManager()
	parts.OOMAdjuster = oom.NewFakeOOMAdjuster()
	return kubelet.Run(ctx, settings, parts, utilfeature.DefaultFeatureGate)
}

// Where the kubelet would look at the machine's control groups it is told this. So it needs none of them, and a node
// always has the same size; limits of memory and CPU are accepted and not enforced.
type machine struct{ cadvisor.Fake }

func (*machine) MachineInfo(klog.Logger) (*cadvisorapi.MachineInfo, error) {
	return &cadvisorapi.MachineInfo{NumCores: 16, MemoryCapacity: 64 << 30}, nil
}
