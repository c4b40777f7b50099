package swift

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"glimpse/backends"

	"gopkg.in/ini.v1"
)

// References reads a file of accounts as Glance's swift_store_config_file: a
// section for each reference, with auth_address, user and key.
func References(path string, version int) (map[string]Credentials, error) {
	f, err := ini.LoadSources(ini.LoadOptions{IgnoreInlineComment: true, SpaceBeforeInlineComment: true, AllowPythonMultilineValues: true}, path)
	if err != nil {
		// Its errors quote lines, which may hold a key.
		return nil, fmt.Errorf("swift: %s can't be read as an INI file", path)
	}
	all := map[string]Credentials{}
	for _, sec := range f.Sections() {
		if sec.Name() == ini.DefaultSection {
			continue
		}
		c, err := reference(f.Section(ini.DefaultSection), sec, version)
		if err != nil {
			return nil, fmt.Errorf("swift: %s: [%s]: %w", path, sec.Name(), err)
		}
		all[sec.Name()] = c
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("swift: %s holds no account", path)
	}
	return all, nil
}

func reference(defaults, sec *ini.Section, version int) (Credentials, error) {
	get := func(name string) string {
		s := sec
		if !s.HasKey(name) {
			s = defaults
		}
		return strings.ReplaceAll(s.Key(name).String(), "%%", "%")
	}
	c := Credentials{
		AuthURL: get("auth_address"), Version: version, User: get("user"), Key: backends.Secret(get("key")),
		UserDomainID: get("user_domain_id"), UserDomainName: get("user_domain_name"),
		ProjectDomainID: get("project_domain_id"), ProjectDomainName: get("project_domain_name"),
		AppID: get("application_credential_id"), AppSecret: backends.Secret(get("application_credential_secret")),
	}
	if v := get("auth_version"); v != "" {
		var err error
		if c.Version, err = strconv.Atoi(v); err != nil {
			return c, errors.New("auth_version is not a number")
		}
	}
	c.Domains()
	return c, nil
}

// Domains fills in Keystone's default domain where none is named.
func (c *Credentials) Domains() {
	if c.UserDomainID == "" && c.UserDomainName == "" {
		c.UserDomainID = "default"
	}
	if c.ProjectDomainID == "" && c.ProjectDomainName == "" {
		c.ProjectDomainID = "default"
	}
}
