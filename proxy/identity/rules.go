package identity

import (
	"regexp"
	"strings"
)

// serviceType is what the access rules of application credentials call us.
const serviceType = "image"

// accessRule is one thing that an application credential may be used for.
type accessRule struct {
	Service string `json:"service"`
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// permit is a rule for this service, ready to be matched.
type permit struct {
	method string
	path   *regexp.Regexp
}

// permits returns nil where the credential is not restricted, and an empty slice
// where it may do nothing here.
func permits(rules []accessRule) []permit {
	if rules == nil {
		return nil
	}
	out := []permit{}
	for _, r := range rules {
		if r.Service != serviceType {
			continue
		}
		if re, err := regexp.Compile(pattern(r.Path)); err == nil {
			out = append(out, permit{r.Method, re})
		}
	}
	return out
}

// pattern turns a rule's path into a regular expression: "{name}" and "*" are
// one part of a path, "**" is any number of them.
func pattern(path string) string {
	var b strings.Builder
	b.WriteString("^")
	for path != "" {
		switch {
		case strings.HasPrefix(path, "**"):
			b.WriteString(".*")
			path = path[2:]
		case path[0] == '*':
			b.WriteString("[^/]+")
			path = path[1:]
		case path[0] == '{' && strings.IndexByte(path, '}') > 0:
			b.WriteString("[^/]+")
			path = path[strings.IndexByte(path, '}')+1:]
		default:
			end := strings.IndexAny(path[1:], "*{") + 1
			if end == 0 {
				end = len(path)
			}
			b.WriteString(regexp.QuoteMeta(path[:end]))
			path = path[end:]
		}
	}
	b.WriteString("$")
	return b.String()
}

// allowed says whether the rules let the credential do this.
func allowed(rules []permit, method, path string) bool {
	if rules == nil {
		return true
	}
	for _, r := range rules {
		if r.method == method && r.path.MatchString(path) {
			return true
		}
	}
	return false
}
