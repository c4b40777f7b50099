package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// server is a process whose processor time is measured.
type server interface{ pids() ([]int, error) }

type measurement struct {
	wall float64 // seconds
	cpu  float64 // seconds of the server
}

func measure(s server, do func() error) (measurement, error) {
	pids, err := s.pids()
	if err != nil {
		return measurement{}, err
	}
	before, err := cpuSeconds(pids)
	if err != nil {
		return measurement{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return measurement{}, err
	}
	wall := time.Since(start)
	after, err := cpuSeconds(pids)
	return measurement{wall.Seconds(), after - before}, err
}

// variant is one way to do a row's work.
type variant struct {
	name   string
	goal   string // what is aimed at, as a ratio to the first variant
	server server
	amount float64 // GiB, or requests; 0: as the first
	before func() error
	do     func() error
}

// race measures the variants in turn, as often as there are rounds, and prints
// the medians and their ratios to the first. unit is what amount counts.
func (l *lab) race(unit string, amount float64, all ...variant) error {
	wall, cpu := make([][]float64, len(all)), make([][]float64, len(all))
	for range l.rounds {
		for i, v := range all {
			if v.before != nil {
				if err := v.before(); err != nil {
					return fmt.Errorf("%s: %w", v.name, err)
				}
			}
			m, err := measure(v.server, v.do)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			n := v.amount
			if n == 0 {
				n = amount
			}
			wall[i] = append(wall[i], m.wall/n)
			cpu[i] = append(cpu[i], m.cpu/n)
		}
	}
	t := table.NewWriter()
	t.SetOutputMirror(l.out)
	t.AppendHeader(table.Row{"", unit + "/s", "server cpu s/" + unit, "wall ratio", "cpu ratio", "aim"})
	for i, v := range all {
		t.AppendRow(table.Row{v.name, three(1 / median(wall[i])), three(median(cpu[i])), three(median(wall[i]) / median(wall[0])), three(median(cpu[i]) / median(cpu[0])), v.goal})
	}
	t.Render()
	return nil
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// percentile of p, 0 to 1.
func percentile(v []float64, p float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(p*float64(len(s))))]
}

// three significant digits are as many as a run can tell.
func three(f float64) string { return fmt.Sprintf("%.3g", f) }
