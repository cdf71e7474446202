// Package main is CoreDNS with only the plugins that the test cluster's
// Corefile names: a small binary that builds in a fraction of the time.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func init() {
	// The order of the plugin chain; CoreDNS takes it from here, not from the
	// Corefile.
	dnsserver.Directives = []string{
		"bind", "ready", "errors", "kubernetes", "template",
	}
}

func main() {
	coremain.Run()
}
