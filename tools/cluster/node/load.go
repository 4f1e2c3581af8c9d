package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
)

// Load makes calls over connections that are kept, as services do, until it is told to end. It fails if a call did.
func load(args []string) error {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	target := flags.String("target", "", "a name and a port")
	dns := flags.String("dns", "", "the address of the name server, with its port")
	account := flags.String("account", "", "the account to ask for")
	feature := flags.String("feature", "pricing.view", "the feature to ask for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	request := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), *account)
	request = protowire.AppendString(protowire.AppendTag(request, 2, protowire.BytesType), *feature)
	var (
		callers  sync.WaitGroup
		mutex    sync.Mutex
		answered int
		failed   []string
	)
	for range 8 {
		connection, err := grpc.NewClient("dns://"+*dns+"/"+*target, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return err
		}
		callers.Go(func() {
			for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
				call, end := context.WithTimeout(context.Background(), 2*time.Second)
				err := connection.Invoke(call, "/portcullis.v1.AuthorizationService/CheckFeature", request, new([]byte), grpc.ForceCodec(bare{}))
				end()
				mutex.Lock()
				if err == nil {
					answered++
				} else {
					failed = append(failed, time.Now().Format("15:04:05.000 ")+status.Convert(err).String())
				}
				mutex.Unlock()
			}
		})
	}
	callers.Wait()
	for _, failure := range failed {
		fmt.Println(failure)
	}
	fmt.Printf("%d calls answered, %d failed\n", answered, len(failed))
	if answered == 0 || len(failed) > 0 {
		return errors.New("not every call was answered")
	}
	return nil
}

// Bare is a codec of messages that are bytes already, so that no generated code is needed.
type bare struct{}

func (bare) Marshal(message any) ([]byte, error) { return message.([]byte), nil }

func (bare) Unmarshal(text []byte, message any) error {
	*message.(*[]byte) = append([]byte(nil), text...)
	return nil
}

func (bare) Name() string { return "proto" }
