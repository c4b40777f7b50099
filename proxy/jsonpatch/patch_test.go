package jsonpatch

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestBothForms(t *testing.T) {
	for name, c := range map[string]struct {
		media, body string
		want        []Op
	}{
		"empty": {MediaTypeV21, `[]`, []Op{}},
		"v2.1": {MediaTypeV21, `[{"op":"add","path":"/a~1b~0c","value":"x"},{"op":"remove","path":"/y","value":1},{"op":"replace","path":"/tags","value":["a"]}]`, []Op{
			{Kind: Add, Path: []string{"a/b~c"}, Value: "x"}, {Kind: Remove, Path: []string{"y"}}, {Kind: Replace, Path: []string{"tags"}, Value: []any{"a"}},
		}},
		"v2.0": {MediaTypeV20, `[{"add":"/x","value":null},{"remove":"/y"}]`, []Op{
			{Kind: Add, Path: []string{"x"}, Legacy: true}, {Kind: Remove, Path: []string{"y"}, Legacy: true},
		}},
		"locations": {MediaTypeV21, `[{"op":"add","path":"/locations/-","value":{"url":"u"}}]`, []Op{
			{Kind: Add, Path: []string{"locations", "-"}, Value: map[string]any{"url": "u"}},
		}},
		"numbers keep their digits": {MediaTypeV21, `[{"op":"add","path":"/min_ram","value":9007199254740993}]`, []Op{
			{Kind: Add, Path: []string{"min_ram"}, Value: json.Number("9007199254740993")},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(c.media, []byte(c.body))
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, body := range map[string]string{
		"object":           `{}`,
		"not JSON":         `[`,
		"empty body":       ``,
		"two values":       `[] []`,
		"list of strings":  `["x"]`,
		"no op":            `[{"path":"/x","value":1}]`,
		"op is a number":   `[{"op":1,"path":"/x","value":1}]`,
		"no path":          `[{"op":"add","value":1}]`,
		"no value":         `[{"op":"add","path":"/x"}]`,
		"test":             `[{"op":"test","path":"/x","value":1}]`,
		"move":             `[{"op":"move","path":"/x","from":"/y"}]`,
		"copy":             `[{"op":"copy","path":"/x","from":"/y"}]`,
		"no slash":         `[{"op":"add","path":"x","value":1}]`,
		"empty path":       `[{"op":"add","path":"","value":1}]`,
		"only a slash":     `[{"op":"add","path":"/","value":1}]`,
		"double slash":     `[{"op":"add","path":"//x","value":1}]`,
		"slash at the end": `[{"op":"add","path":"/x/","value":1}]`,
		"too deep":         `[{"op":"add","path":"/x/y","value":1}]`,
		"a location's url": `[{"op":"replace","path":"/locations/0/url","value":"u"}]`,
		"one location":     `[{"op":"replace","path":"/locations/0","value":{}}]`,
		"no position":      `[{"op":"add","path":"/locations","value":[]}]`,
		"all locations":    `[{"op":"remove","path":"/locations"}]`,
		"bad escape":       `[{"op":"add","path":"/x~2","value":1}]`,
		"tilde at the end": `[{"op":"add","path":"/x~","value":1}]`,
		"duplicate key":    `[{"op":"add","op":"remove","path":"/x","value":1}]`,
		"NUL":              `[{"op":"add","path":"/x","value":"a\u0000b"}]`,
		"broken UTF-8":     "[{\"op\":\"add\",\"path\":\"/x\",\"value\":\"\xff\"}]",
		"nesting":          `[{"op":"add","path":"/x","value":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}]`,
		"too many":         `[` + strings.Repeat(`{"op":"remove","path":"/x"},`, MaxOps) + `{"op":"remove","path":"/x"}]`,
	} {
		t.Run(name, func(t *testing.T) {
			if ops, err := Parse(MediaTypeV21, []byte(body)); err == nil {
				t.Errorf("taken: %+v", ops)
			}
		})
	}
	for name, body := range map[string]string{
		"two operations in one": `[{"add":"/x","remove":"/x","value":1}]`,
		"the new form":          `[{"op":"add","path":"/x","value":1}]`,
		"unknown":               `[{"test":"/x","value":1}]`,
		"path is a number":      `[{"add":1,"value":1}]`,
	} {
		t.Run("v2.0 "+name, func(t *testing.T) {
			if ops, err := Parse(MediaTypeV20, []byte(body)); err == nil {
				t.Errorf("taken: %+v", ops)
			}
		})
	}
	if _, err := Parse("application/json", []byte(`[]`)); !errors.Is(err, ErrMediaType) {
		t.Errorf("another media type: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{"op":"add","path":"/a~1b","value":{"x":[1,2,null,true,"s"]}}]`, `[{"replace":"/x","value":1e400}]`, `[{"op":"remove","path":"/locations/0"}]`,
		`[{"op":"add","path":"/x","value":"\ud800"}]`, `{"a":1`, `[[[[`, "[{\"op\":\"\x00\"}]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, media := range []string{MediaTypeV21, MediaTypeV20} {
			ops, err := Parse(media, []byte(body))
			if err != nil {
				continue
			}
			again, err := Parse(MediaTypeV21, encode(t, ops))
			if err != nil {
				t.Fatalf("what was read can't be written: %v", err)
			}
			for i := range again {
				again[i].Legacy = ops[i].Legacy
			}
			if !reflect.DeepEqual(ops, again) {
				t.Fatalf("%+v became %+v", ops, again)
			}
		}
	})
}

// encode writes operations in the v2.1 form.
func encode(t *testing.T, ops []Op) []byte {
	t.Helper()
	list := make([]map[string]any, 0, len(ops))
	for _, op := range ops {
		path := ""
		for _, p := range op.Path {
			path += "/" + strings.ReplaceAll(strings.ReplaceAll(p, "~", "~0"), "/", "~1")
		}
		m := map[string]any{"op": string(op.Kind), "path": path}
		if op.Kind != Remove {
			m["value"] = op.Value
		}
		list = append(list, m)
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
