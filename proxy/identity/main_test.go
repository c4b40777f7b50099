package identity

import (
	"testing"

	"glimpse/cmd/testenv"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	testenv.Main(m, goleak.IgnoreAnyFunction("glimpse/cmd/testenv.launch.func1")) // it waits for a server's end
}
