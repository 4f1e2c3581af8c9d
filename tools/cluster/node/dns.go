package main

import (
	"context"
	"flag"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/clientcmd"
)

// Names answers for SERVICE.NAMESPACE.svc.cluster.local: the Service's address or, where it has none, those of its
// ready pods. It knows nothing of the world outside.
type names struct {
	services corelisters.ServiceLister
	slices   discoverylisters.EndpointSliceLister
}

func serveNames(args []string) error {
	flags := flag.NewFlagSet("dns", flag.ExitOnError)
	listen := flags.String("listen", "", "the address to answer on, with its port")
	config := flags.String("kubeconfig", "", "how to reach the API server")
	if err := flags.Parse(args); err != nil {
		return err
	}
	reach, err := clientcmd.BuildConfigFromFlags("", *config)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(reach)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 10*time.Minute)
	n := &names{factory.Core().V1().Services().Lister(), factory.Discovery().V1().EndpointSlices().Lister()}
	ctx := context.Background()
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	connection, err := net.ListenPacket("udp", *listen)
	if err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		length, from, err := connection.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if answer, err := n.answer(buffer[:length]); err == nil {
			_, _ = connection.WriteTo(answer, from)
		}
	}
}

func (n *names) answer(request []byte) ([]byte, error) {
	var message dnsmessage.Message
	if err := message.Unpack(request); err != nil || len(message.Questions) != 1 {
		return nil, err
	}
	question := message.Questions[0]
	addresses, known := n.lookUp(question.Name.String())
	message.Response, message.Authoritative, message.RecursionAvailable = true, true, true
	message.Additionals = nil
	if !known {
		message.RCode = dnsmessage.RCodeNameError
	} else if question.Type == dnsmessage.TypeA {
		for _, address := range addresses {
			if four := net.ParseIP(address).To4(); four != nil {
				message.Answers = append(message.Answers, dnsmessage.Resource{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte(four)},
				})
			}
		}
	}
	return message.Pack()
}

func (n *names) lookUp(name string) (addresses []string, known bool) {
	inside, found := strings.CutSuffix(strings.ToLower(name), ".svc.cluster.local.")
	service, namespace, split := strings.Cut(inside, ".")
	if !found || !split {
		return nil, false
	}
	object, err := n.services.Services(namespace).Get(service)
	if err != nil {
		return nil, false
	}
	if object.Spec.ClusterIP != corev1.ClusterIPNone {
		return object.Spec.ClusterIPs, true
	}
	slices, err := n.slices.EndpointSlices(namespace).List(labels.Set{discoveryv1.LabelServiceName: service}.AsSelector())
	if err != nil {
		return nil, false
	}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			if object.Spec.PublishNotReadyAddresses || (endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready) {
				addresses = append(addresses, endpoint.Addresses...)
			}
		}
	}
	return addresses, true
}
