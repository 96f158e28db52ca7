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
	met               verdict
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

// printTable writes rows in Markdown.
func printTable(w io.Writer, rows []row) {
	fmt.Fprintln(w, "| what | bar | Sidestream | met | beside it, in the same run |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, r := range rows {
		cells := []string{r.what, r.bar, r.figure, string(r.met), r.sticks}
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
	}
}
