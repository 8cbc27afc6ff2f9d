package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// format is how answers are printed: as a table, unless a flag says otherwise.
type format struct{ json, csv bool }

func (f *format) flags(c *cobra.Command) {
	c.PersistentFlags().BoolVar(&f.json, "json", false, "print JSON as the admin API answers it, one value a line")
	c.PersistentFlags().BoolVar(&f.csv, "csv", false, "print comma-separated values with a line of names")
	c.PersistentPreRunE = func(*cobra.Command, []string) error {
		if f.json && f.csv {
			return usageError("--json and --csv are two formats: choose one")
		}
		return nil
	}
}

// row is one record of an answer, its numbers as they were sent.
type row map[string]any

// UnmarshalJSON keeps numbers as they are written.
func (r *row) UnmarshalJSON(b []byte) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var m map[string]any
	err := d.Decode(&m)
	*r = m
	return err
}

// text is a member as a person reads it.
func (r row) text(name string) string {
	switch v := r[name].(type) {
	case nil:
		return ""
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = fmt.Sprint(v[i])
		}
		return strings.Join(parts, ",")
	default:
		return fmt.Sprint(v)
	}
}

// unix is a member that is a time in unix seconds; ok is false for none, and for 0.
func (r row) unix(name string) (at time.Time, ok bool) {
	n, _ := r[name].(json.Number)
	seconds, err := n.Int64()
	return time.Unix(seconds, 0), err == nil && seconds != 0
}

// column is a column of a table: its title, and what stands in it.
type column struct {
	title string
	of    func(row) string
}

// member is a column that shows a member as it is.
func member(title, name string) column {
	return column{title, func(r row) string { return r.text(name) }}
}

// moment is a column that shows a member, unix seconds, as a time.
func moment(title, name string) column {
	return column{title, func(r row) string {
		at, ok := r.unix(name)
		if !ok {
			return ""
		}
		return at.UTC().Format("2006-01-02 15:04:05")
	}}
}

// dollars is a column that shows an amount of money without the noise of floats.
func dollars(title, name string) column {
	return column{title, func(r row) string {
		n, ok := r[name].(json.Number)
		if !ok {
			return ""
		}
		f, err := n.Float64()
		if err != nil {
			return n.String()
		}
		text := strings.TrimRight(fmt.Sprintf("%.9f", f), "0")
		return strings.TrimSuffix(text, ".")
	}}
}

// show prints records in the format that was asked for.
func (p *program) show(rows []row, columns ...column) error {
	switch {
	case p.format.json:
		return printJSON(p.out, rows)
	case p.format.csv:
		return printCSV(p.out, rows, columns)
	}
	return printTable(p.out, rows, columns)
}

func printJSON(out io.Writer, rows []row) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, r := range rows {
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func cells(r row, columns []column) []string {
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.of(r)
	}
	return line
}

func titles(columns []column) []string {
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = c.title
	}
	return line
}

func printCSV(out io.Writer, rows []row, columns []column) error {
	w := csv.NewWriter(out)
	_ = w.Write(titles(columns)) // Flush tells
	w.Flush()
	return errors.Join(w.Error(), printCSVRows(out, rows, columns))
}

func printCSVRows(out io.Writer, rows []row, columns []column) error {
	w := csv.NewWriter(out)
	for _, r := range rows {
		_ = w.Write(cells(r, columns)) // Flush tells
	}
	w.Flush()
	return w.Error()
}

func printTable(out io.Writer, rows []row, columns []column) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.ToUpper(strings.Join(titles(columns), "\t")))
	for _, r := range rows {
		line := cells(r, columns)
		for i := range line {
			line[i] = printable(line[i])
		}
		fmt.Fprintln(w, strings.TrimRight(strings.Join(line, "\t"), "\t"))
	}
	return w.Flush()
}

// printLines prints a table that goes on, so with columns of a fixed width.
func printLines(out io.Writer, rows []row, columns []column, first bool) error {
	lines := make([][]string, 0, len(rows)+1)
	if first {
		lines = append(lines, titles(columns))
	}
	for _, r := range rows {
		lines = append(lines, cells(r, columns))
	}
	var b strings.Builder
	for _, line := range lines {
		for _, text := range line {
			fmt.Fprintf(&b, "%-*s  ", 12, printable(text))
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// printable keeps what somebody else wrote from moving the cursor.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return '·'
		}
		return c
	}, s)
}

// showOne prints one record, member by member.
func (p *program) showOne(r row, columns ...column) error {
	if p.format.json || p.format.csv {
		return p.show([]row{r}, columns...)
	}
	w := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		if text := c.of(r); text != "" {
			fmt.Fprintf(w, "%s\t%s\n", c.title, printable(text))
		}
	}
	return w.Flush()
}
