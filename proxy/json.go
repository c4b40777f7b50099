package proxy

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"glimpse/registry/image"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Bounds of a JSON body.
const (
	maxJSON      = 1 << 20 // bytes
	maxJSONDepth = 32
)

func itoa(n int) string { return strconv.Itoa(n) }

func encode(v any) ([]byte, error) {
	return json.Marshal(v, json.Deterministic(true), jsontext.EscapeForHTML(false))
}

// answer sends v as JSON.
func (r *request) answer(code int, v any) error {
	body, err := encode(v)
	if err != nil {
		return err
	}
	r.http.Response.SetStatusCode(code)
	r.http.Response.Header.SetContentType("application/json; charset=UTF-8")
	r.http.Response.SetBodyRaw(body)
	return nil
}

// empty answers without a body.
func (r *request) empty(code int) error {
	r.http.Response.SetStatusCode(code)
	r.http.Response.Header.SetContentType("text/html; charset=UTF-8")
	return nil
}

// body reads a bounded body under a deadline that covers all of it.
func (r *request) body() ([]byte, error) {
	if n := r.http.Request.Header.ContentLength(); n > maxJSON {
		r.lingers = true // else the client, still sending, may never see why
		return nil, image.Errorf(image.TooLarge, "The body is larger than %d bytes.", maxJSON)
	}
	stream := r.http.RequestBodyStream()
	if stream == nil {
		return nil, nil
	}
	_ = r.http.Conn().SetReadDeadline(time.Now().Add(r.s.cfg.StallTimeout))
	b, err := io.ReadAll(io.LimitReader(stream, maxJSON+1))
	if err != nil {
		return nil, image.Wrap(image.Invalid, err, "The body could not be read.")
	}
	if len(b) > maxJSON {
		r.lingers = true
		return nil, image.Errorf(image.TooLarge, "The body is larger than %d bytes.", maxJSON)
	}
	if n := r.http.Request.Header.ContentLength(); n >= 0 && len(b) != n {
		return nil, image.Errorf(image.Invalid, "The body ended after %d of %d bytes.", len(b), n)
	}
	return b, nil
}

// object reads a JSON object: no duplicate names, no broken UTF-8, bounded depth.
func (r *request) object() (map[string]any, error) {
	b, err := r.body()
	if err != nil {
		return nil, err
	}
	if len(b) == 0 {
		return nil, image.Errorf(image.Invalid, "Body expected in request.")
	}
	if err := checkDepth(b); err != nil {
		return nil, malformedJSON(err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, malformedJSON(err)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, image.Errorf(image.Invalid, "The body must be a JSON object.")
	}
	return m, nil
}

func malformedJSON(err error) error {
	return image.Wrap(image.Invalid, err, "Malformed JSON in request body.")
}

// checkDepth reads the tokens once, so that nesting can't be had to exhaust the
// stack.
func checkDepth(b []byte) error {
	d := jsontext.NewDecoder(bytes.NewReader(b))
	for {
		if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if d.StackDepth() > maxJSONDepth {
			return errors.New("nested too deeply")
		}
	}
}
