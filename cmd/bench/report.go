package main

import (
	"fmt"
	"io"
	"strings"
)

// row is one line of the table.
type row struct {
	what, bar, figure string
	sticks            string // measured in the same run
	// servers are the prefixes of the figures of what was driven for this row.
	servers []string
	odd     string // what happened to them that should not
	met     verdict
}

// verdict says whether a bar was reached.
type verdict string

const (
	met    verdict = "yes"
	missed verdict = "**no**"
	noBar  verdict = ""
)

func meets(ok bool) verdict {
	if ok {
		return met
	}
	return missed
}

// oddities are what a driven server's figures have under these names.
var oddities = []struct{ name, text string }{
	{" lost", "lost"}, {" doubled", "doubled"}, {" closed", "streams closed"}, {" repeated", "posts repeated"},
}

// oddText tells what went otherwise than it should, of each server at its worst.
func (m measured) oddText(servers []string) string {
	var all []string
	for _, server := range servers {
		var of []string
		for _, o := range oddities {
			if n := m.worst(server + o.name); n > 0 {
				of = append(of, countText(n)+" "+o.text)
			}
		}
		if len(of) > 0 {
			all = append(all, server+": "+strings.Join(of, ", "))
		}
	}
	return strings.Join(all, "; ")
}

// printTable writes rows in Markdown.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w, "| what | bar | Sidestream | met | beside it, in the same run | odd |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, r := range rows {
		cells := []string{r.what, r.bar, r.figure, string(r.met), r.sticks, r.odd}
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}
