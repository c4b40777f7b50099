package main

import (
	"os"

	"glimpse/cmd/glimpse/imageapi"
)

// exitCode is what the process ends with. The README tells of the codes.
func exitCode(err error) int {
	if code := imageapi.CodeOf(err); code != 0 {
		return int(code)
	}
	return int(imageapi.Failed)
}

// exit ends the process for kong, whose own code for a wrong command line is 80.
func exit(code int) {
	if code == 80 {
		code = int(imageapi.Usage)
	}
	os.Exit(code)
}
