package main

import (
	"context"
	"errors"
	"os"

	"glimpse/cmd/glimpse/imageapi"
)

// interrupted is what shells say of a program that was ended by SIGINT.
const interrupted = 130

// exitCode is what the process ends with. The README tells of the codes.
func exitCode(err error) int {
	switch code := imageapi.CodeOf(err); {
	case err == nil:
		return 0
	case errors.Is(err, context.Canceled):
		return interrupted
	case code != 0:
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
