// Command etcd_load is the closed-loop load on etcd that benchmarks/raft.py compares with: as many clients as asked
// for, each with one operation under way, spread over at most so many connections to the leader.
//
// Built against Debian's golang-etcd-server-dev:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o etcd_load main.go
//
// It prints one JSON object: operations, errors, seconds, latency_us (p50, p99), cpu_s of this process.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/etcd/clientv3"
)

type result struct {
	Operations int                `json:"operations"`
	Errors     int                `json:"errors"`
	Seconds    float64            `json:"seconds"`
	LatencyUs  map[string]float64 `json:"latency_us"`
	CPUSeconds float64            `json:"cpu_s"`
}

func main() {
	endpoints := flag.String("endpoints", "", "client addresses of all members, with commas between")
	operation := flag.String("operation", "put", "put or get (linearizable)")
	clients := flag.Int("clients", 16, "operations under way at any time")
	connections := flag.Int("connections", 8, "connections at most")
	seconds := flag.Float64("seconds", 5, "time measured")
	warmup := flag.Float64("warmup", 1, "time before it")
	keys := flag.Int("keys", 1000, "different keys")
	size := flag.Int("bytes", 256, "size of a value")
	flag.Parse()

	leader := findLeader(strings.Split(*endpoints, ","))
	pool := make([]*clientv3.Client, min(*connections, *clients))
	for i := range pool {
		pool[i] = connect(leader)
		defer pool[i].Close()
	}
	value := strings.Repeat("v", *size)
	names := make([]string, *keys)
	for i := range names {
		names[i] = fmt.Sprintf("k%06d", i)
	}
	if *operation == "get" {
		fill(pool, names, value)
	}

	begin := time.Now().Add(time.Duration(*warmup * float64(time.Second)))
	end := begin.Add(time.Duration(*seconds * float64(time.Second)))
	latencies := make([][]int64, *clients)
	errors := make([]int, *clients)
	var wait sync.WaitGroup
	for i := 0; i < *clients; i++ {
		wait.Add(1)
		go func(i int) {
			defer wait.Done()
			latencies[i], errors[i] = run(pool[i%len(pool)], *operation, names, value, int64(i), begin, end)
		}(i)
	}
	time.Sleep(time.Until(begin))
	before := cpuSeconds()
	wait.Wait()
	report(latencies, errors, *seconds, cpuSeconds()-before)
}

func connect(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second})
	if err != nil {
		fail(err)
	}
	return client
}

func findLeader(endpoints []string) string {
	for _, endpoint := range endpoints {
		client := connect(endpoint)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		status, err := client.Status(ctx, endpoint)
		cancel()
		client.Close()
		if err == nil && status.Leader != 0 && status.Leader == status.Header.MemberId {
			return endpoint
		}
	}
	fail(fmt.Errorf("none of %v leads", endpoints))
	return ""
}

// fill writes every key once, 64 at a time.
func fill(pool []*clientv3.Client, names []string, value string) {
	var wait sync.WaitGroup
	for worker := 0; worker < 64; worker++ {
		wait.Add(1)
		go func(worker int) {
			defer wait.Done()
			for i := worker; i < len(names); i += 64 {
				if _, err := pool[worker%len(pool)].Put(context.Background(), names[i], value); err != nil {
					fail(err)
				}
			}
		}(worker)
	}
	wait.Wait()
}

// run is one client; what it did before `begin` is not counted.
func run(client *clientv3.Client, operation string, names []string, value string, seed int64, begin, end time.Time) ([]int64, int) {
	random := rand.New(rand.NewSource(seed))
	latencies := make([]int64, 0, 1<<16)
	errors := 0
	for {
		started := time.Now()
		if !started.Before(end) {
			return latencies, errors
		}
		key := names[random.Intn(len(names))]
		var err error
		if operation == "put" {
			_, err = client.Put(context.Background(), key, value)
		} else {
			_, err = client.Get(context.Background(), key)
		}
		finished := time.Now()
		if finished.Before(begin) || finished.After(end) {
			continue
		}
		if err != nil {
			errors++
		} else {
			latencies = append(latencies, finished.Sub(started).Nanoseconds())
		}
	}
}

func report(latencies [][]int64, errors []int, seconds, cpu float64) {
	all := make([]int64, 0)
	failed := 0
	for i := range latencies {
		all = append(all, latencies[i]...)
		failed += errors[i]
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	at := func(q float64) float64 {
		if len(all) == 0 {
			return 0
		}
		return float64(all[int(q*float64(len(all)-1))]) / 1000
	}
	line, err := json.Marshal(result{
		Operations: len(all), Errors: failed, Seconds: seconds, CPUSeconds: cpu,
		LatencyUs: map[string]float64{"p50": at(0.5), "p99": at(0.99)},
	})
	if err != nil {
		fail(err)
	}
	fmt.Println(string(line))
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		fail(err)
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1e9
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
