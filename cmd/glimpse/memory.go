package main

import (
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"glimpse/cmd/glimpse/config"
)

// heapFloor is what the heap needs besides the slabs: records, tokens,
// connections. With less the collector would run all the time.
const heapFloor = 64 << 20

// limitMemory sets Go's soft limit to nine tenths of what the machine or its
// cgroup allows, less the slabs, which lie outside the heap. It refuses a memory
// tier that leaves too little.
func limitMemory(slabs config.Bytes) error {
	total, ok := memoryLimit("/")
	if !ok {
		return nil
	}
	heap := total/10*9 - int64(slabs)
	if heap < heapFloor {
		return fmt.Errorf("cache.memory.size: %s leaves too little of the %s that this node may use; set it to %s or less",
			slabs, config.Bytes(total), config.Bytes(max(0, total/10*9-heapFloor)))
	}
	debug.SetMemoryLimit(heap)
	return nil
}

// memoryLimit is the least of the cgroup's limit (version 1 or 2) and the
// machine's memory, in bytes. root is "/" but in tests.
func memoryLimit(root string) (int64, bool) {
	least := int64(math.MaxInt64)
	for _, file := range []string{"sys/fs/cgroup/memory.max", "sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := os.ReadFile(root + file)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 { // "max" is no limit
			least = min(least, n)
		}
	}
	if b, err := os.ReadFile(root + "proc/meminfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 || f[0] != "MemTotal:" {
				continue
			}
			if kb, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				least = min(least, kb<<10)
			}
		}
	}
	return least, least != math.MaxInt64
}
