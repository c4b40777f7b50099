package policy

import (
	"fmt"
	"strings"
	"testing"
)

func creds(project string, roles ...string) Credentials {
	return Credentials{UserID: "u", ProjectID: project, Roles: roles}
}

func TestTheLanguage(t *testing.T) {
	c := Credentials{UserID: "u", ProjectID: "p", Roles: []string{"member", "reader"}}
	target := Target{"project_id": "p", "other": "q", "visibility": "public", "empty": ""}
	for rule, want := range map[string]bool{
		"":                           true,
		"@":                          true,
		"!":                          false,
		"not !":                      true,
		"NOT @":                      false,
		"role:member":                true,
		"role:MEMBER":                true,
		"role:admin":                 false,
		"role:admin or role:member":  true,
		"role:admin and role:member": false,
		"role:member or role:admin and role:nobody":     true,
		"(role:member or role:admin) and role:nobody":   false,
		"not role:admin and role:member":                true,
		"not (role:admin or role:member)":               false,
		"project_id:%(project_id)s":                     true,
		"project_id:%(other)s":                          false,
		"project_id:%(missing)s":                        false,
		"not project_id:%(missing)s":                    true,
		"project_id:p":                                  true,
		"tenant:%(project_id)s":                         true,
		"user_id:u":                                     true,
		"domain_id:%(empty)s":                           false,
		"'public':%(visibility)s":                       true,
		"\"private\":%(visibility)s":                    false,
		"'a b':%(visibility)s":                          false,
		"'p-q':%(project_id)s-%(other)s":                true,
		"'p-p':%(project_id)s-%(other)s":                false,
		"'p-':%(project_id)s-%(missing)s":               false,
		"'100%':100%%":                                  true,
		"'%p%':%%%(project_id)s%%":                      true,
		"not rule:loop":                                 false,
		"@ and not rule:loop":                           false,
		"not not rule:loop":                             false,
		"not rule:self":                                 false,
		"rule:wide":                                     false,
		"not rule:wide":                                 false,
		"unknown_kind:x":                                false,
		"(role:member)":                                 true,
		"((role:member))":                               true,
		"( role:member and project_id:%(project_id)s )": true,
		"roles:reader":                                  true,
		"is_admin:True":                                 false,
		"rule:loop":                                     false,
		"rule:nowhere":                                  false,
	} {
		rules := map[string]string{"r": rule, "loop": "rule:pool", "pool": "rule:loop", "self": "not rule:self", "wide": "rule:w0", "w20": "!"}
		for i := range 20 { // a million steps, were they not counted
			rules[fmt.Sprint("w", i)] = fmt.Sprintf("rule:w%d or rule:w%d", i+1, i+1)
		}
		e, err := New(rules, nil)
		if err != nil {
			t.Errorf("%q: %v", rule, err)
			continue
		}
		if got := e.Allows("r", c, target); got != want {
			t.Errorf("%q: got %v", rule, got)
		}
	}
}

func TestWhatIsNotARule(t *testing.T) {
	for _, rule := range []string{
		" ", "\t\n", "role:%", "role:a%b", "role:%(a)d", "a:%(b", "a:%()s",
		"(", ")", "role:a)", "(role:a", "and", "or role:a", "role:a or", "role:a role:b", "not", "role", ":x", "'a", "'a'", "http://x/",
		strings.Repeat("(", 100) + "@" + strings.Repeat(")", 100), strings.Repeat("not ", 100) + "@", strings.Repeat("@ or ", 10000) + "@",
	} {
		if _, err := Parse(rule); err == nil {
			t.Errorf("%.40q is taken", rule)
		}
	}
}

func TestNobodyOwnsWhatHasNoOwner(t *testing.T) {
	e, err := New(Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if e.Allows("modify_image", creds("", "member"), Target{"project_id": ""}) {
		t.Error("a caller without project may modify an image without owner")
	}
}

// Who may do what, as a table: a(dmin), m(ember of the owner), r(eader of the
// owner), o: another project's member, O: its reader, s(ervice), by visibility.
func TestTheDefaults(t *testing.T) {
	e, err := New(Defaults(), nil)
	if err != nil {
		t.Fatal(err)
	}
	who := map[byte]Credentials{
		'a': creds("x", "admin"), 'm': creds("p", "member"), 'r': creds("p", "reader"),
		'o': creds("q", "member"), 'O': creds("q", "reader"), 's': creds("svc", "service"),
	}
	for _, c := range []struct{ rule, visibility, want string }{
		{"get_image", "private", "ar"},
		{"get_image", "public", "arO"},
		{"get_image", "shared", "arO"},
		{"get_image", "community", "arO"},
		{"download_image", "private", "am"},
		{"download_image", "public", "amo"},
		{"get_images", "private", "ar"},
		{"add_image", "private", "am"},
		{"delete_image", "public", "am"},
		{"modify_image", "public", "am"},
		{"upload_image", "private", "am"},
		{"publicize_image", "private", "a"},
		{"communitize_image", "private", "am"},
		{"deactivate", "private", "am"},
		{"copy_image", "private", "a"},
		{"fetch_image_location", "private", "as"},
		{"stores_info_detail", "private", "as"},
		{"add_image_location", "private", "ams"},
		{"tasks_api_access", "private", "a"},
		{"metadef_admin", "private", "a"},
		{"get_metadef_namespace", "public", "arO"},
		{"add_metadef_tags", "public", "a"},
		{"get_member", "shared", "ar"},
		{"get_task", "private", "amroOs"},
		{"nothing_of_the_kind", "public", ""},
	} {
		target := Target{"project_id": "p", "owner": "p", "visibility": c.visibility}
		for _, k := range []byte("amroOs") {
			if got, want := e.Allows(c.rule, who[k], target), strings.IndexByte(c.want, k) >= 0; got != want {
				t.Errorf("%s of a %s image by %c: got %v", c.rule, c.visibility, k, got)
			}
		}
	}
	system := who['a']
	system.SystemScope = true
	if e.Allows("get_image", system, Target{"project_id": "p"}) {
		t.Error("a system-scoped token passes")
	}
	if !e.Allows("modify_member", creds("q", "member"), Target{"member_id": "q"}) || e.Allows("modify_member", creds("p", "member"), Target{"member_id": "q"}) {
		t.Error("a share is accepted by the wrong project")
	}
}

func TestAnOverrideReplacesADefault(t *testing.T) {
	e, err := New(Defaults(), map[string]string{"publicize_image": "rule:trusted", "trusted": "role:publisher"})
	if err != nil {
		t.Fatal(err)
	}
	if !e.Allows("publicize_image", creds("p", "publisher"), nil) || e.Allows("publicize_image", creds("p", "admin"), nil) {
		t.Error("it does not")
	}
	if _, err := New(Defaults(), map[string]string{"get_image": "role:"}); err != nil {
		t.Error(err)
	}
	if _, err := New(Defaults(), map[string]string{"get_image": "("}); err == nil || !strings.Contains(err.Error(), "get_image") {
		t.Errorf("a broken override: %v", err)
	}
}

func TestAnOperatorsDefaultStandsForWhatIsNotDefined(t *testing.T) {
	for _, c := range []struct {
		overrides map[string]string
		want      bool
	}{
		{nil, false}, // the default named "default" lets everybody in
		{map[string]string{"default": "role:member"}, true},
		{map[string]string{"default": "role:admin"}, false},
		{map[string]string{"default": ""}, true},
		{map[string]string{"default": "rule:another_unknown"}, false}, // a circle
	} {
		e, err := New(Defaults(), c.overrides)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Allows("nothing_of_the_kind", creds("p", "member"), nil); got != c.want {
			t.Errorf("%v: got %v", c.overrides, got)
		}
		if e.Allows("delete_image_location", creds("p", "member"), nil) {
			t.Errorf("%v: a rule that is defined is replaced", c.overrides)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, rule := range Defaults() {
		f.Add(rule)
	}
	for _, rule := range []string{"", "@", "!", "not not @", "((@))", "'a b':%(c)s", "a:%(b", "role:%(x)s or (", "\"", "'':''", "%(a)s:%(b)s", "a:%(b)s%%%(c)s", " "} {
		f.Add(rule)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		c, err := Parse(rule)
		if err != nil || len(rule) > maxSteps { // a longer one may run out of steps, and then refuses with its opposite
			return
		}
		e := &Engine{rules: map[string]Check{"r": c}}
		got := e.Allows("r", Credentials{}, nil)
		// An opposite holds where the rule does not, unless it no longer parses for depth.
		if n, err := Parse("not (" + rule + ")"); err == nil && strings.TrimSpace(rule) != "" {
			if (&Engine{rules: map[string]Check{"r": n}}).Allows("r", Credentials{}, nil) == got && !strings.Contains(rule, "rule:") {
				t.Errorf("%q and its opposite are both %v", rule, got)
			}
		}
	})
}
