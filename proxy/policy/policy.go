package policy

// Credentials are what a rule can ask about the caller.
type Credentials struct {
	UserID, ProjectID, DomainID string
	Roles                       []string // lower case
	ServiceRoles                []string
	SystemScope                 bool
}

// Target is what a rule can ask about the thing acted upon: "project_id",
// "owner", "visibility", "member_id" and the like. A name that is not there
// makes its check fail.
type Target map[string]string
