// Keeps known amounts from known functions with every allocation sampled, then says "ready PORT" and serves its profiles.
package main

import (
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"runtime"
)

var (
	large [][]byte
	small []*[1024]byte
	drop  *[1024]byte
)

//go:noinline
func keepLarge() {
	for i := range large {
		large[i] = make([]byte, 1<<20)
	}
}

//go:noinline
func keepSmall() {
	for i := range small {
		small[i] = new([1024]byte)
	}
}

//go:noinline
func dropAll() {
	for i := 0; i < 20000; i++ {
		drop = new([1024]byte)
	}
	drop = nil
}

func main() {
	runtime.MemProfileRate = 1
	large, small = make([][]byte, 40), make([]*[1024]byte, 20000)
	keepLarge()
	keepSmall()
	dropAll()
	runtime.GC() // the profile is that of the last collection but one
	runtime.GC()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("ready", listener.Addr().(*net.TCPAddr).Port)
	go http.Serve(listener, nil)
	os.Stdin.Read(make([]byte, 1))
}
