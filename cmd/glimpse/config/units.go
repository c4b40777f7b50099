package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"
)

// Bytes is a size as people write it: 512MiB, 10GiB, 1TB, 4096.
type Bytes int64

// UnmarshalText reads a size.
func (b *Bytes) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size such as 512MiB", text)
	}
	*b = Bytes(n)
	return nil
}

func (b Bytes) String() string { return humanize.IBytes(uint64(max(b, 0))) }

// Percent is a share, written as 5% and kept as 0.05.
type Percent float64

// UnmarshalText reads a share between 0% and 100%.
func (p *Percent) UnmarshalText(text []byte) error {
	s, ok := strings.CutSuffix(string(text), "%")
	f, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || !(f >= 0 && f <= 100) {
		return fmt.Errorf("%q is not a share such as 5%%", text)
	}
	*p = Percent(f / 100)
	return nil
}

func (p Percent) String() string { return strconv.FormatFloat(float64(p)*100, 'g', -1, 64) + "%" }
