package sim

import (
	"math"
	"math/rand/v2"
)

// Request is a read of chunks of an image: From up to, not including, To.
type Request struct{ Image, From, To int }

// Trace is a sequence of reads. Sizes are in chunks.
type Trace struct {
	Name     string
	Sizes    map[int]int // of each image
	Requests []Request
}

// Footprint is how many different chunks are read.
func (t Trace) Footprint() int {
	seen := map[[2]int]bool{}
	for _, r := range t.Requests {
		for i := r.From; i < r.To; i++ {
			seen[[2]int{r.Image, i}] = true
		}
	}
	return len(seen)
}

// maker builds a trace out of pulls that run side by side.
type maker struct {
	*rand.Rand
	t      Trace
	active []Request // what is left of each pull
}

func newMaker(name string, seed uint64) *maker {
	return &maker{Rand: rand.New(rand.NewPCG(seed, 1)), t: Trace{Name: name, Sizes: map[int]int{}}}
}

// size of an image: log-normal around 2 GiB of 64 MiB extents, as in catalogues
// of clouds; a unit of the simulation is an extent's worth.
func (m *maker) size(image int) int {
	if m.t.Sizes[image] == 0 {
		m.t.Sizes[image] = max(4, min(200, int(32*math.Exp(0.8*m.NormFloat64()))))
	}
	return m.t.Sizes[image]
}

const step = 4 // chunks that one pull reads before another has its turn

// pull begins to read a whole image.
func (m *maker) pull(image int) {
	m.active = append(m.active, Request{image, 0, m.size(image)})
}

// work gives the pulls that run their turns until no more than left are running.
func (m *maker) work(left int) {
	for len(m.active) > left {
		i := m.IntN(len(m.active))
		r := &m.active[i]
		to := min(r.From+step, r.To)
		m.t.Requests = append(m.t.Requests, Request{r.Image, r.From, to})
		if r.From = to; r.From == r.To {
			m.active = append(m.active[:i], m.active[i+1:]...)
		}
	}
}

// zipf draws ranks of 0 to n-1 with weight 1/(rank+1)^s.
func zipf(r *rand.Rand, s float64, n int) func() int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -s)
		sums[i] = sum
	}
	return func() int {
		x := r.Float64() * sum
		lo, hi := 0, n-1
		for lo < hi {
			if mid := (lo + hi) / 2; sums[mid] < x {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return lo
	}
}

// Popularity: whole images are pulled, eight side by side, a few far more often
// than most (Zipf, exponent 0.8); one of ten pulls is of an image that nobody
// ever reads again: a snapshot, an image of a CI run.
func Popularity(seed uint64, pulls int) Trace {
	m := newMaker("popularity", seed)
	draw := zipf(m.Rand, 0.8, 400)
	once := 1_000_000
	for range pulls {
		if m.IntN(10) == 0 {
			once++
			m.pull(once)
		} else {
			m.pull(draw())
		}
		m.work(7)
	}
	m.work(0)
	return m.t
}

// Storms: waves in which one image is booted by many hypervisors that begin one
// after another; between waves single boots of all kinds, and in every sixth, by
// night, a backup that reads the whole catalogue.
func Storms(seed uint64, waves int) Trace {
	m := newMaker("storms", seed)
	const images = 300
	draw := zipf(m.Rand, 0.8, images)
	for wave := range waves {
		hot := draw()
		for range 6 + m.IntN(6) {
			m.pull(hot)
			m.work(8)
			if m.IntN(3) == 0 {
				m.pull(draw())
			}
		}
		m.work(0)
		for range 20 {
			m.pull(draw())
			m.work(4)
		}
		if wave%6 == 3 {
			first := m.IntN(images)
			for i := range images {
				m.pull((first + i) % images)
				m.work(1)
			}
		}
		m.work(0)
	}
	return m.t
}

// Churn: what is popular drifts, as new versions of images replace old ones. Half
// of the reads are of whole images, half are ranges of an image that is booted
// from afar and read as needed.
func Churn(seed uint64, reads int) Trace {
	m := newMaker("churn", seed)
	draw := zipf(m.Rand, 0.8, 250)
	for i := range reads {
		image := draw() + i/100 // every 100 reads a new version moves all by one rank
		if m.IntN(2) == 0 {
			m.pull(image)
		} else {
			size := m.size(image)
			from := m.IntN(size)
			m.active = append(m.active, Request{image, from, min(size, from+1+m.IntN(12))})
		}
		m.work(7)
	}
	m.work(0)
	return m.t
}
