package sqlstore

import (
	"fmt"
	"slices"
	"strings"
)

// freshHead is stamped on a database that Sync creates: the schema of Glance
// from Wallaby to 2023.2, which every later Glance knows how to bring forward.
const freshHead = "wallaby_contract01"

// knownHeads are the revisions that may stand in alembic_version from Zed, whose
// own is Wallaby's, to 2026.2. The tables that Glimpse uses are the same in all.
var knownHeads = []string{
	"wallaby_expand01", "wallaby_contract01", "xena_expand01", "xena_contract01", "yoga_expand01", "yoga_contract01",
	"zed_expand01", "zed_contract01", "2023_1_expand01", "2023_1_contract01", "2024_1_expand01", "2024_1_contract01",
}

// judge accepts the heads of a schema. An expand step only adds, so that an
// unknown one is worth a warning; a contract step takes away, and one that is
// not known is refused unless accept names it.
func judge(heads []string, accept string) (warnings []string, err error) {
	for _, head := range heads {
		switch {
		case slices.Contains(knownHeads, head), head == accept:
		case strings.Contains(head, "_expand"):
			warnings = append(warnings, head)
		default:
			return nil, fmt.Errorf("sqlstore: the database has Glance's schema %q, which is not one that this version knows "+
				"(known: %s to %s); to use it all the same set registry.accept_schema to that name", head, knownHeads[1], knownHeads[len(knownHeads)-1])
		}
	}
	return warnings, nil
}
