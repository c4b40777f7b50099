// Package view turns images and what goes with them into the JSON of the Image
// API. It is pure.
//
// What holds: base properties have the names, types and nulls of the API, custom
// properties stand beside them as strings, and location URLs appear only where
// the caller says so.
package view
