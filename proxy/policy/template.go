package policy

import (
	"fmt"
	"strings"
)

// template is a text with any number of %(name)s in it; %% is a percent sign.
type template []piece

// piece is a text, or the value that the target has under a name.
type piece struct {
	text string
	name string // "": it is a text
}

func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		text, rest, ok := strings.Cut(s, "%")
		if text != "" {
			t = append(t, piece{text: text})
		}
		if !ok {
			break
		}
		switch name, after, closed := strings.Cut(strings.TrimPrefix(rest, "("), ")s"); {
		case strings.HasPrefix(rest, "%"):
			t = append(t, piece{text: "%"})
			s = rest[1:]
		case strings.HasPrefix(rest, "(") && closed && name != "":
			t = append(t, piece{name: name})
			s = after
		default:
			return nil, fmt.Errorf("%q: a percent sign that begins neither %%(name)s nor %%%%", s)
		}
	}
	return t, nil
}

// fill returns false where the target has not all of the names.
func (t template) fill(target Target) (string, bool) {
	if len(t) == 1 && t[0].name == "" {
		return t[0].text, true
	}
	var b strings.Builder
	for _, p := range t {
		if p.name == "" {
			b.WriteString(p.text)
			continue
		}
		v, ok := target[p.name]
		if !ok {
			return "", false
		}
		b.WriteString(v)
	}
	return b.String(), true
}
