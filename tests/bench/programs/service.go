// A service with fixed work under load: it answers as many requests as it is told, sent by itself over loopback by two
// clients, and then ends. With GROWN set, three of its functions do more work. It is built and profiled by `collect`.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"sync"
)

type node struct{ left, right *node }

var word = regexp.MustCompile(`a+b?c[0-9]+`)

//go:noinline
func parse(n int) (sum int) {
	for i := 0; i < n; i++ {
		var got struct{ A []int }
		_ = json.Unmarshal([]byte(`{"a":[`+strconv.Itoa(i)+`,2,3]}`), &got)
		sum += got.A[0]
	}
	return sum
}

//go:noinline
func sorted(n int) int {
	list := make([]int, n)
	for i := range list {
		list[i] = i * 7919 % 10007
	}
	sort.Ints(list)
	return list[0]
}

//go:noinline
func table(n int) int {
	m := map[string]int{}
	for i := 0; i < n; i++ {
		m["k"+strconv.Itoa(i%997)] = i
	}
	return len(m)
}

//go:noinline
func match(n int) (found int) {
	for i := 0; i < n; i++ {
		if word.MatchString("xxaaac" + strconv.Itoa(i)) {
			found++
		}
	}
	return found
}

//go:noinline
func hash(n int) int {
	block := make([]byte, 256)
	for i := 0; i < n; i++ {
		sum := sha256.Sum256(block)
		copy(block, sum[:])
	}
	return int(block[0])
}

//go:noinline
func tree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{tree(depth - 1), tree(depth - 1)}
}

//go:noinline
func sums(n int) (x int32) {
	for i := 0; i < n; i++ {
		x = x*31 + int32(i)
	}
	return x
}

//go:noinline
func join(n int) int {
	var b strings.Builder
	for i := 0; i < n; i++ {
		b.WriteString(strings.ToUpper(strconv.Itoa(i) + "abc"))
	}
	return b.Len()
}

// More work: 10 % of sums, 25 % of sorted, 60 % of match.
func more(n, percent int) int {
	if os.Getenv("GROWN") == "" {
		return n
	}
	return n + n*percent/100
}

func work(w http.ResponseWriter, _ *http.Request) {
	tree(12)
	fmt.Fprintln(w, parse(600), sorted(more(9000, 25)), table(4000), match(more(1500, 60)), hash(2000),
		sums(more(900000, 10)), join(5000))
}

func main() {
	requests, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(listener, http.HandlerFunc(work))
	var clients sync.WaitGroup
	for client := 0; client < 2; client++ {
		clients.Add(1)
		go func() {
			defer clients.Done()
			for i := 0; i < requests/2; i++ {
				answer, err := http.Get("http://" + listener.Addr().String())
				if err != nil {
					log.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
		}()
	}
	clients.Wait()
}
