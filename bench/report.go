package main

import (
	"io"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// server is a process whose processor time is measured.
type server interface{ pids() ([]int, error) }

type measurement struct {
	wall time.Duration
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
	return measurement{wall, after - before}, err
}

// report gathers the rounds of each workload and peer.
type report struct {
	order []string
	rows  map[string]map[string]*series
}

type series struct {
	amount    float64
	wall, cpu []float64
}

func newReport() *report { return &report{rows: map[string]map[string]*series{}} }

func (r *report) add(name, peer string, amount float64, m measurement) {
	if r.rows[name] == nil {
		r.rows[name] = map[string]*series{}
		r.order = append(r.order, name)
	}
	s := r.rows[name][peer]
	if s == nil {
		s = &series{amount: amount}
		r.rows[name][peer] = s
	}
	s.wall = append(s.wall, m.wall.Seconds())
	s.cpu = append(s.cpu, m.cpu)
}

// print writes a table: rates, server CPU, and Glimpse's ratio to nginx.
func (r *report) print(w io.Writer) {
	t := table.NewWriter()
	t.SetOutputMirror(w)
	t.AppendHeader(table.Row{"workload", "peer", "wall s", "rate", "server cpu s", "wall / nginx", "cpu / nginx"})
	for _, name := range r.order {
		base := r.rows[name]["nginx"]
		for _, peer := range []string{"nginx", "glimpse"} {
			s := r.rows[name][peer]
			scale := 1024.0
			if name == "metadata" {
				scale = 1
			}
			t.AppendRow(table.Row{
				name, peer, round3(median(s.wall)), int(s.amount * scale / median(s.wall)), round3(median(s.cpu)),
				ratio(median(s.wall), median(base.wall)), ratio(median(s.cpu), median(base.cpu)),
			})
		}
		t.AppendSeparator()
	}
	t.SetCaption("rate: MiB/s over all clients; requests per second for metadata")
	t.Render()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func round3(f float64) float64 { return float64(int(f*1000+0.5)) / 1000 }

func ratio(a, b float64) any {
	if b == 0 {
		return "-"
	}
	return round3(a / b)
}
