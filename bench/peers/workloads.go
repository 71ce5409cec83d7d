// Copyright 2026 The Tricolor Authors
// SPDX-License-Identifier: Apache-2.0

// The workloads of bench/workloads.h in Go.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func usage() (s syscall.Rusage) {
	syscall.Getrusage(syscall.RUSAGE_SELF, &s)
	return s
}

func cpuSeconds() float64 {
	u := usage()
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

func peakMegabytes() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	var kilobytes float64
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "VmHWM:") {
			fmt.Sscanf(line, "VmHWM: %f", &kilobytes)
		}
	}
	return kilobytes / 1024
}

func print(figure string, value float64) { fmt.Printf("%s %.4f\n", figure, value) }

type random uint64

func (r *random) below(n uint32) uint32 {
	x := uint64(*r)
	x ^= x >> 12
	x ^= x << 25
	x ^= x >> 27
	*r = random(x)
	return uint32(((x * 0x2545F4914F6CDD1D) >> 32) * uint64(n) >> 32)
}

// What is assigned to these escapes to the heap.
var (
	sink16  *[16]byte
	sink24  *[24]byte
	sink32  *[32]byte
	sink64  *[64]byte
	sink128 *[128]byte
	sink256 *[256]byte
	sink512 *[512]byte
)

func timeAllocation(figure string, seconds float64, allocate func()) {
	begin := cpuSeconds()
	end := begin
	objects := 0
	for end-begin < seconds {
		allocate()
		objects += 100000
		end = cpuSeconds()
	}
	print(figure, (end-begin)/float64(objects)*1e9)
}

func allocate(seconds float64) {
	timeAllocation("alloc-16-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink16 = new([16]byte)
		}
	})
	timeAllocation("alloc-24-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink24 = new([24]byte)
		}
	})
	timeAllocation("alloc-32-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink32 = new([32]byte)
		}
	})
	timeAllocation("alloc-64-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink64 = new([64]byte)
		}
	})
	timeAllocation("alloc-128-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink128 = new([128]byte)
		}
	})
	timeAllocation("alloc-256-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink256 = new([256]byte)
		}
	})
	timeAllocation("alloc-512-ns", seconds, func() {
		for i := 0; i < 100000; i++ {
			sink512 = new([512]byte)
		}
	})
}

type treeNode struct{ left, right *treeNode }

func buildTree(depth int) *treeNode {
	if depth == 0 {
		return &treeNode{}
	}
	return &treeNode{buildTree(depth - 1), buildTree(depth - 1)}
}

func count(n *treeNode) int {
	if n.left == nil {
		return 1
	}
	return 1 + count(n.left) + count(n.right)
}

func trees(maxDepth int) {
	const minDepth = 4
	wall, cpu := time.Now(), cpuSeconds()
	check := count(buildTree(maxDepth + 1))
	longLived := buildTree(maxDepth)
	for depth := minDepth; depth <= maxDepth; depth += 2 {
		for i := 1 << (maxDepth - depth + minDepth); i > 0; i-- {
			check += count(buildTree(depth))
		}
	}
	check += count(longLived)
	if check == 0 {
		panic("no trees")
	}
	print("trees-cpu-s", cpuSeconds()-cpu)
	print("trees-wall-s", time.Since(wall).Seconds())
	print("trees-peak-MB", peakMegabytes())
}

func churn(steps int) {
	const live = 1000000
	r := random(1)
	objects := make([]*byte, live)
	replace := func(i uint32) {
		fresh := make([]byte, 16+r.below(497))
		fresh[0] = 1
		objects[i] = &fresh[0]
	}
	for i := uint32(0); i < live; i++ {
		replace(i)
	}
	// The kernel's work for new memory is over when the heap has its full size.
	for i := 0; i < 2*live; i++ {
		replace(r.below(live))
	}
	cpu := cpuSeconds()
	for i := 0; i < steps; i++ {
		replace(r.below(live))
	}
	print("churn-cpu-ns", (cpuSeconds()-cpu)/float64(steps)*1e9)
	print("churn-peak-MB", peakMegabytes())
	runtime.KeepAlive(objects)
}

func timeCollection(figure string) {
	best := time.Hour
	for i := 0; i < 3; i++ {
		begin := time.Now()
		runtime.GC()
		if t := time.Since(begin); t < best {
			best = t
		}
	}
	print(figure, best.Seconds()*1e3)
}

type graphNode struct {
	edges [4]*graphNode
	data  [4]uint64
}

func markGraph(nodes uint32) {
	r := random(2)
	index := make([]*graphNode, nodes)
	for i := range index {
		index[i] = new(graphNode)
	}
	for _, node := range index {
		for e := range node.edges {
			node.edges[e] = index[r.below(nodes)]
		}
	}
	root := index[0]
	for i := range index {
		index[i] = nil
	}
	timeCollection("mark-graph-ms")
	runtime.KeepAlive(root)
	runtime.KeepAlive(index)
}

type listNode struct {
	next *listNode
	data [3]uint64
}

func markLists(megabytes uint64) {
	const length = 1000
	heads := make([]*listNode, megabytes*1000000/(32*length))
	for i := range heads {
		last := new(listNode)
		heads[i] = last
		for j := 1; j < length; j++ {
			node := new(listNode)
			last.next = node
			last = node
		}
	}
	timeCollection("mark-lists-ms")
	runtime.KeepAlive(heads)
}

func delays(megabytes uint64) {
	nodes := uint32(megabytes * 1000000 / 64)
	r := random(3)
	index := make([]*graphNode, nodes)
	replace := func(i uint32) {
		node := new(graphNode)
		for e := range node.edges {
			node.edges[e] = index[r.below(nodes)]
		}
		if old := index[i]; old != nil {
			for e := range old.edges {
				old.edges[e] = nil
			}
		}
		index[i] = node
	}
	for i := uint32(0); i < nodes; i++ {
		replace(i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var steps []float64
	sum := 0.0
	last := time.Now()
	for len(steps) < int(nodes/20) {
		for i := 0; i < 100; i++ {
			replace(r.below(nodes))
		}
		now := time.Now()
		steps = append(steps, now.Sub(last).Seconds()*1e6)
		sum += steps[len(steps)-1]
		last = now
	}
	runtime.ReadMemStats(&after)
	sort.Float64s(steps)
	percentile := func(sorted []float64, q float64) float64 {
		return sorted[int(q*float64(len(sorted)-1))]
	}
	print("delay-p50-us", percentile(steps, 0.5))
	print("delay-p99-us", percentile(steps, 0.99))
	print("delay-p99.9-us", percentile(steps, 0.999))
	print("delay-max-us", percentile(steps, 1))
	print("delay-mean-us", sum/float64(len(steps)))
	// A cycle's two stops come as their sum.
	stops := []float64{}
	for k := before.NumGC + 1; k <= after.NumGC && k <= before.NumGC+256; k++ {
		stops = append(stops, float64(after.PauseNs[(k+255)%256])/1e3)
	}
	if len(stops) > 0 {
		sort.Float64s(stops)
		print("stop-p50-us", percentile(stops, 0.5))
		print("stop-p99-us", percentile(stops, 0.99))
		print("stop-max-us", percentile(stops, 1))
	}
	print("stop-collections", float64(after.NumGC-before.NumGC))
	print("delay-peak-MB", peakMegabytes())
	runtime.KeepAlive(index)
}

// See bench/gcbench.h.
type benchNode struct {
	left, right *benchNode
	i, j        int32
}

func bottomUp(depth int) *benchNode {
	if depth <= 0 {
		return &benchNode{}
	}
	left := bottomUp(depth - 1)
	return &benchNode{left: left, right: bottomUp(depth - 1)}
}

func populate(node *benchNode, depth int) {
	if depth <= 0 {
		return
	}
	node.left, node.right = &benchNode{}, &benchNode{}
	populate(node.left, depth-1)
	populate(node.right, depth-1)
}

func gcBench(maxDepth int) {
	wall, cpu := time.Now(), cpuSeconds()
	nodes := func(depth int) int64 { return int64(1)<<(depth+1) - 1 }
	bottomUp(maxDepth)
	longLived := &benchNode{}
	populate(longLived, maxDepth-2)
	array := make([]float64, 500000)
	for i := 1; i < len(array)/2; i++ {
		array[i] = 1 / float64(i)
	}
	for depth := 4; depth <= maxDepth-2; depth += 2 {
		for n := 2 * nodes(maxDepth) / nodes(depth); n > 0; n-- {
			root := &benchNode{}
			populate(root, depth)
			bottomUp(depth)
		}
	}
	if array[1000] != 1.0/1000 {
		panic("the array has changed")
	}
	runtime.KeepAlive(longLived)
	print("gcbench-cpu-s", cpuSeconds()-cpu)
	print("gcbench-wall-s", time.Since(wall).Seconds())
	print("gcbench-peak-MB", peakMegabytes())
}

func main() {
	size := 0.0
	if len(os.Args) == 3 {
		size, _ = strconv.ParseFloat(os.Args[2], 64)
	}
	if size <= 0 {
		fmt.Fprintln(os.Stderr, "usage: workloads alloc|threads|trees|gcbench|churn|graph|lists|delays SIZE")
		os.Exit(1)
	}
	switch os.Args[1] {
	case "alloc":
		allocate(size)
	case "threads":
		// Collections use other threads anyway.
	case "trees":
		trees(int(size))
	case "gcbench":
		gcBench(int(size))
	case "churn":
		churn(int(size))
	case "graph":
		markGraph(uint32(size))
	case "lists":
		markLists(uint64(size))
	case "delays":
		delays(uint64(size))
	}
}
