package proxy

import (
	"encoding/hex"
	"strings"

	"glimpse/registry/image"
)

// claim is what a caller says about bytes: never more than that.
type claim struct{ checksum, algo, hash string }

// readClaim reads validation data by its schema.
func readClaim(v any, checksum bool) (*claim, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, wrongType("validation_data", "an object")
	}
	var c claim
	for name, v := range m {
		s, err := text(name, v)
		if err != nil {
			return nil, err
		}
		switch {
		case name == "os_hash_algo" && len(s) <= 64:
			c.algo = s
		case name == "os_hash_value" && len(s) <= 128:
			c.hash = strings.ToLower(s)
		case name == "checksum" && checksum && len(s) == 32:
			c.checksum = strings.ToLower(s)
		default:
			return nil, wrongType("validation_data", "as its schema says")
		}
	}
	if c.algo == "" || c.hash == "" {
		return nil, wrongType("validation_data", "an object with os_hash_algo and os_hash_value")
	}
	return &c, nil
}

var hashBytes = map[string]int{"sha256": 32, "sha512": 64}

// check says what is wrong with the claim; "": nothing.
func (c claim) check(algo string) string {
	if c.algo != algo {
		return "os_hash_algo must be " + algo + "."
	}
	if b, err := hex.DecodeString(c.hash); err != nil || len(b) != hashBytes[algo] {
		return "os_hash_value is not a hexadecimal value of the size of " + algo + "."
	}
	if _, err := hex.DecodeString(c.checksum); err != nil {
		return "checksum is not a hexadecimal value."
	}
	return ""
}

// claimed merges the claims of all locations and compares them with the record.
// It returns nil where nothing new is claimed.
func claimed(m image.Image, all []asked, algo string) (*claim, error) {
	var sum claim
	for _, a := range all {
		if a.claim == nil {
			continue
		}
		for _, f := range []struct {
			name     string
			to       *string
			v        string
			recorded *string
		}{
			{"os_hash_algo", &sum.algo, a.claim.algo, m.HashAlgo},
			{"os_hash_value", &sum.hash, a.claim.hash, m.HashValue},
			{"checksum", &sum.checksum, a.claim.checksum, m.Checksum},
		} {
			if *f.to != "" && f.v != "" && *f.to != f.v {
				return nil, image.Errorf(image.Conflict, "Conflicting values for %s", f.name)
			}
			if r := f.recorded; f.v != "" && r != nil && *r != "" && !strings.EqualFold(*r, f.v) {
				return nil, image.Errorf(image.Conflict, "%s is already set with a different value", f.name)
			}
			if f.v != "" {
				*f.to = f.v
			}
		}
	}
	if sum == (claim{}) || m.HashValue != nil && *m.HashValue != "" && (sum.checksum == "" || m.Checksum != nil && *m.Checksum != "") {
		return nil, nil
	}
	if m.Status != image.Queued {
		return nil, image.Errorf(image.Conflict, "New values for hashes may only be provided when image status is 'queued'")
	}
	if why := sum.check(algo); why != "" {
		return nil, image.Errorf(image.Conflict, "%s", why)
	}
	return &sum, nil
}

func (c *claim) set(m *image.Image) {
	if c == nil {
		return
	}
	m.HashAlgo, m.HashValue = &c.algo, &c.hash
	if c.checksum != "" {
		m.Checksum = &c.checksum
	}
}
