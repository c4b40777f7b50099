package view

import (
	"slices"
	"strings"
)

// Versions are the API versions that are true of this service, newest first.
// multiStore adds those that promise stores. What promises image import, its
// tasks or the cache API is left out.
func Versions(multiStore bool) []string {
	v := []string{"v2.17", "v2.9", "v2.8", "v2.7", "v2.5", "v2.4", "v2.3", "v2.2", "v2.1", "v2.0"}
	if !multiStore {
		v = slices.DeleteFunc(v, func(id string) bool { return id == "v2.8" })
	}
	return v
}

// VersionsDocument lists them; base is the address of this service.
func VersionsDocument(versions []string, base string) map[string]any {
	list := make([]any, 0, len(versions))
	for i, id := range versions {
		status := "SUPPORTED"
		if i == 0 {
			status = "CURRENT"
		}
		list = append(list, map[string]any{
			"id": id, "status": status,
			"links": []any{map[string]any{"rel": "self", "href": strings.TrimRight(base, "/") + "/v2/"}},
		})
	}
	return map[string]any{"versions": list}
}

// StoreInfo is one store in info/stores. The API has strings where one would
// expect booleans, and only where they are true.
type StoreInfo struct {
	ID          string `json:"id"`
	Description string `json:"description,omitempty"`
	Default     string `json:"default,omitempty"`
	ReadOnly    string `json:"read-only,omitempty"`
}

// StoreDetail is one store in info/stores/detail, with the settings that are
// shown under Glance's names.
type StoreDetail struct {
	StoreInfo
	Type       string         `json:"type"`
	Weight     int            `json:"weight"`
	Properties map[string]any `json:"properties"`
}

// ImportInfo says that there are no import methods.
func ImportInfo() map[string]any {
	return map[string]any{"import-methods": map[string]any{"description": "Import methods available.", "type": "array", "value": []string{}}}
}
