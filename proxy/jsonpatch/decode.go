package jsonpatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// maxDepth is the deepest nesting of a document: operations hold values of a few
// levels.
const maxDepth = 20

// decode reads one JSON value, stricter than encoding/json: no duplicate keys, no
// broken UTF-8, no NUL, no deep nesting, nothing after it.
func decode(body []byte) (any, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("Malformed JSON in request body: not UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := value(d, 0)
	if err != nil {
		return nil, malformed(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, malformed(errors.New("more than one value"))
	}
	return v, nil
}

func malformed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("Malformed JSON in request body: it ends too early.")
	}
	return fmt.Errorf("Malformed JSON in request body: %.200s.", err.Error())
}

func value(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("too deep a nesting")
	}
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case json.Delim:
		if v == '{' {
			return object(d, depth)
		}
		return array(d, depth)
	case string:
		return text(v)
	}
	return tok, nil
}

func text(s string) (string, error) {
	if strings.ContainsRune(s, 0) {
		return "", errors.New("a string with NUL")
	}
	return s, nil
}

func object(d *json.Decoder, depth int) (any, error) {
	m := map[string]any{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, err := text(tok.(string)) // the decoder gives nothing else here
		if err != nil {
			return nil, err
		}
		if _, twice := m[key]; twice {
			return nil, fmt.Errorf("key %.40q twice", key)
		}
		if m[key], err = value(d, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return m, err
}

func array(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}
