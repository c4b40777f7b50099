package policy

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of a rule's text, far above what any deployment writes.
const (
	maxRule  = 16 << 10 // bytes
	maxDepth = 64       // nested parentheses and nots
)

// Parse reads a rule in oslo.policy's language:
//
//	expr  = term { "or" term }
//	term  = factor { "and" factor }
//	factor = "not" factor | "(" expr ")" | check
//	check = "@" | "!" | kind ":" match
//
// The empty rule allows; one of white space alone is an error, as what remains of
// an edit that went wrong. "and" binds tighter than "or"; words may be written in
// any case. A match may hold %(name)s, which is taken from the target,
// and %% for a percent sign.
func Parse(rule string) (Check, error) {
	if len(rule) > maxRule {
		return nil, fmt.Errorf("policy: a rule of %d bytes", len(rule))
	}
	if rule == "" {
		return always(true), nil
	}
	toks, err := tokens(rule)
	if err != nil {
		return nil, err
	}
	p := &parser{toks: toks}
	c, err := p.expr(0)
	if err != nil {
		return nil, fmt.Errorf("policy: %w in %q", err, rule)
	}
	if p.at < len(p.toks) {
		return nil, fmt.Errorf("policy: unexpected %q in %q", p.toks[p.at].text, rule)
	}
	return c, nil
}

type token struct {
	text   string
	quoted bool // the left side is a literal in quotes
}

// tokens cuts a rule at white space and parentheses. Parentheses inside a check,
// as in %(project_id)s, belong to it: only those at a word's ends are brackets.
func tokens(rule string) ([]token, error) {
	var out []token
	for i := 0; i < len(rule); {
		switch c := rule[i]; {
		case strings.IndexByte(" \t\n\r", c) >= 0:
			i++
		case c == '(' || c == ')':
			out = append(out, token{text: string(c)})
			i++
		default:
			word, quoted, err := word(rule[i:])
			if err != nil {
				return nil, err
			}
			out = append(out, token{word, quoted})
			i += len(word)
		}
	}
	return out, nil
}

// word returns the check or keyword at the beginning of s. A quoted literal may
// hold white space.
func word(s string) (w string, quoted bool, err error) {
	i, depth := 0, 0
	if s[0] == '\'' || s[0] == '"' {
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return "", false, errors.New("policy: a quote is not closed")
		}
		i, quoted = end+2, true
	}
	for ; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r':
			return s[:i], quoted, nil
		case '(':
			depth++
		case ')':
			if depth == 0 {
				return s[:i], quoted, nil
			}
			depth--
		}
	}
	return s, quoted, nil
}

type parser struct {
	toks []token
	at   int
}

func (p *parser) peek(keyword string) bool {
	return p.at < len(p.toks) && !p.toks[p.at].quoted && strings.EqualFold(p.toks[p.at].text, keyword)
}

func (p *parser) expr(depth int) (Check, error) {
	return p.joined(depth, "or", p.term, func(cs []Check) Check { return anyOf(cs) })
}

func (p *parser) term(depth int) (Check, error) {
	return p.joined(depth, "and", p.factor, func(cs []Check) Check { return allOf(cs) })
}

// joined reads one or more operands with the keyword between them.
func (p *parser) joined(depth int, keyword string, operand func(int) (Check, error), join func([]Check) Check) (Check, error) {
	first, err := operand(depth)
	if err != nil {
		return nil, err
	}
	cs := []Check{first}
	for p.peek(keyword) {
		p.at++
		c, err := operand(depth)
		if err != nil {
			return nil, err
		}
		cs = append(cs, c)
	}
	if len(cs) == 1 {
		return first, nil
	}
	return join(cs), nil
}

func (p *parser) factor(depth int) (Check, error) {
	if depth > maxDepth {
		return nil, errors.New("too deep a nesting")
	}
	switch {
	case p.at == len(p.toks):
		return nil, errors.New("unexpected end")
	case p.peek("not"):
		p.at++
		c, err := p.factor(depth + 1)
		return negation{c}, err
	case p.peek("("):
		p.at++
		c, err := p.expr(depth + 1)
		if err != nil {
			return nil, err
		}
		if !p.peek(")") {
			return nil, errors.New("a parenthesis is not closed")
		}
		p.at++
		return c, nil
	case p.peek(")"), p.peek("and"), p.peek("or"):
		return nil, fmt.Errorf("unexpected %q", p.toks[p.at].text)
	}
	t := p.toks[p.at]
	p.at++
	return check(t.text)
}

// check reads "@", "!" or kind:match.
func check(s string) (Check, error) {
	switch s {
	case "@":
		return always(true), nil
	case "!":
		return always(false), nil
	}
	kind, match, ok := strings.Cut(s, ":")
	if s[0] == '\'' || s[0] == '"' { // a literal may hold a colon
		end := strings.IndexByte(s[1:], s[0]) + 2
		kind, ok = s[:end], false
		if match = s[end:]; strings.HasPrefix(match, ":") {
			match, ok = match[1:], true
		}
	}
	if !ok || kind == "" {
		return nil, fmt.Errorf("%q is not a check", s)
	}
	if kind == "rule" {
		return ruleRef(match), nil
	}
	text, err := parseTemplate(match)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "role":
		return roleCheck{match: text}, nil
	case "http", "https":
		return nil, fmt.Errorf("checks of kind %s are not supported", kind)
	}
	return comparison{left: kind, match: text}, nil
}
