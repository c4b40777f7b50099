package identity

import (
	"errors"
	"strings"
	"time"
)

// maxToken is the longest token that is looked at, in bytes: Fernet tokens have
// some 200, signed ones with groups in them a few thousand.
const maxToken = 8 << 10

// verdict is what Keystone said about a token.
type verdict struct {
	identity Identity
	permits  []permit // nil: may be used for everything
}

// answer is the part of Keystone's answer that counts.
type answer struct {
	Token *struct {
		ExpiresAt time.Time `json:"expires_at"`
		User      named     `json:"user"`
		Project   *named    `json:"project"`
		Domain    *named    `json:"domain"`
		System    *struct {
			All bool `json:"all"`
		} `json:"system"`
		Roles                 []named `json:"roles"`
		ApplicationCredential *struct {
			AccessRules []accessRule `json:"access_rules"` // nil where absent, and then anything goes
		} `json:"application_credential"`
	} `json:"token"`
}

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain struct {
		ID string `json:"id"`
	} `json:"domain"`
}

// verdict refuses an answer that doesn't say who and until when.
func (a answer) verdict() (verdict, error) {
	t := a.Token
	if t == nil || t.User.ID == "" || t.ExpiresAt.IsZero() {
		return verdict{}, errors.New("keystone's answer is no token")
	}
	id := Identity{
		UserID: t.User.ID, UserName: t.User.Name, UserDomainID: t.User.Domain.ID,
		SystemScope: t.System != nil, Expires: t.ExpiresAt,
	}
	if p := t.Project; p != nil {
		id.ProjectID, id.ProjectName, id.ProjectDomainID = p.ID, p.Name, p.Domain.ID
	}
	if t.Domain != nil {
		id.DomainID = t.Domain.ID
	}
	for _, r := range t.Roles {
		id.Roles = append(id.Roles, strings.ToLower(r.Name))
	}
	v := verdict{identity: id}
	if c := t.ApplicationCredential; c != nil {
		v.permits = permits(c.AccessRules)
	}
	return v, nil
}

// wellFormed says whether a token can be one at all: visible ASCII only, so that
// it can be sent on in a header.
func wellFormed(token string) bool {
	return token != "" && len(token) <= maxToken && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}
