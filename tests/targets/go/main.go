// A small service to profile with net/http/pprof.
//
//	GET /work                      one round of all four functions, in the shares below
//	GET /fibonacci … /hashing      one round of that function alone (not counted in /shares)
//	GET /shares                    the share of the time that each function has taken of /work
//	GET /debug/pprof/profile       ?seconds=N answers with a pprof profile
//
// PORT is the loopback port (0 takes a free one).
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"sync"
	"time"
)

// Not a multiple of a sampler's period, so that samples fall everywhere in a round.
const round = 23 * time.Millisecond

// A function of the demo and the share of /work that it is to take.
type task struct {
	name  string
	share float64
	call  func(seed uint32) uint32
	spent time.Duration
}

var (
	// One request works at a time: the shares stay true however many come at once.
	working sync.Mutex
	result  uint32 // keeps the compiler from dropping the calls
	tasks   = []*task{
		{name: "fibonacci", share: 0.4, call: func(uint32) uint32 { return fibonacci(20) }},
		{name: "matrix_multiply", share: 0.3, call: matrix_multiply},
		{name: "sorting", share: 0.2, call: sorting},
		{name: "hashing", share: 0.1, call: hashing},
	}
)

// Four functions whose shapes tell them apart in a picture: a tower, a plateau, a staircase, a step. Their
// names are the same in every language, hence the underscores. Each call takes a fraction of a millisecond,
// so that a round can be shared out finely.

func fibonacci(n uint32) uint32 {
	if n < 2 {
		return n
	}
	return fibonacci(n-1) + fibonacci(n-2)
}

const side = 48

var left, right, product [side][side]float64

func matrix_multiply(seed uint32) uint32 {
	left[0][0] = float64(seed)
	for row := 0; row < side; row++ {
		for column := 0; column < side; column++ {
			sum := 0.0
			for k := 0; k < side; k++ {
				sum += left[row][k] * right[k][column]
			}
			product[row][column] = sum
		}
	}
	return uint32(product[0][1])
}

var items [2000]uint32

//go:noinline
func partition(from, to int) int {
	pivot := items[(from+to)/2]
	for from <= to {
		for items[from] < pivot {
			from++
		}
		for items[to] > pivot {
			to--
		}
		if from <= to {
			items[from], items[to] = items[to], items[from]
			from++
			to--
		}
	}
	return from
}

func quicksort(from, to int) {
	if from >= to {
		return
	}
	middle := partition(from, to)
	quicksort(from, middle-1)
	quicksort(middle, to)
}

func sorting(seed uint32) uint32 {
	for i := range items {
		seed = seed*1664525 + 1013904223
		items[i] = seed
	}
	quicksort(0, len(items)-1)
	return items[0]
}

var text [65536]byte

func hash_block(hash uint32, block []byte) uint32 {
	if len(block) > 4096 {
		middle := len(block) / 2
		return hash_block(hash_block(hash, block[:middle]), block[middle:])
	}
	for _, b := range block {
		hash = (hash ^ uint32(b)) * 16777619
	}
	return hash
}

//go:noinline
func hashing(seed uint32) uint32 {
	return hash_block(seed, text[:])
}

func spend(t *task, budget time.Duration) time.Duration {
	start := time.Now()
	took := time.Duration(0)
	for seed := uint32(1); took < budget; seed++ {
		result += t.call(seed)
		took = time.Since(start)
	}
	return took
}

func total() (sum time.Duration) {
	for _, t := range tasks {
		sum += t.spent
	}
	return sum
}

// A round tops each task up to its share of the whole: a call that overshoots is made good in the next one.
func work() {
	goal := float64(total() + round)
	for _, t := range tasks {
		t.spent += spend(t, time.Duration(t.share*goal)-t.spent)
	}
}

func shares() map[string]float64 {
	whole := float64(total())
	if whole == 0 {
		whole = 1
	}
	answer := map[string]float64{}
	for _, t := range tasks {
		answer[t.name] = float64(t.spent) / whole
	}
	return answer
}

func handle(path string, run func()) {
	http.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		working.Lock()
		defer working.Unlock()
		run()
		fmt.Fprintln(w, "done")
	})
}

func main() {
	for i := 0; i < side*side; i++ {
		left[i/side][i%side] = float64(i % 7)
		right[i/side][i%side] = float64(i % 11)
	}
	for i := range text {
		text[i] = byte(i)
	}
	handle("/work", work)
	for _, t := range tasks {
		t := t
		handle("/"+t.name, func() { spend(t, round) })
	}
	http.HandleFunc("/shares", func(w http.ResponseWriter, _ *http.Request) {
		working.Lock()
		defer working.Unlock()
		if err := json.NewEncoder(w).Encode(shares()); err != nil {
			log.Print(err)
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	for _, t := range tasks {
		fmt.Printf("share %s %g\n", t.name, t.share)
	}
	log.Fatal(http.Serve(listener, nil))
}
