package sqlstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"
)

// decodeMetadata reads a location's metadata. What isn't text is kept as its
// JSON, and what can't be read at all is no metadata, as it can't name a store.
func decodeMetadata(text string) map[string]string {
	var raw map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &raw) != nil {
		return map[string]string{}
	}
	m := make(map[string]string, len(raw))
	for k, v := range raw {
		var s string
		if json.Unmarshal(v, &s) == nil {
			m[k] = s
		} else {
			m[k] = string(v)
		}
	}
	return m
}

// encodeMetadata writes it as Python's json module does: blanks after colons and
// commas, everything beyond ASCII escaped.
func encodeMetadata(m map[string]string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, k := range properties(m) {
		if i > 0 {
			b.WriteString(", ")
		}
		quote(&b, k)
		b.WriteString(": ")
		quote(&b, m[k])
	}
	b.WriteByte('}')
	return b.String()
}

func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r >= 0x20 && r < 0x7f:
			b.WriteRune(r)
		default:
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, `\u%04x`, u)
			}
		}
	}
	b.WriteByte('"')
}
