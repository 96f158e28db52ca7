package redis

import (
	"context"
	_ "embed"
	"strconv"
	"time"

	"github.com/seed-078801ba/sidestream/stream/log"
)

var (
	//go:embed record_put.lua
	luaPutRecords string
	//go:embed record_get.lua
	luaGetRecord string

	// To put a record twice changes nothing.
	putRecordsScript = newScript(true, luaPutRecords)
	getRecordScript  = newScript(true, luaGetRecord)
)

// recordsAtOnce bounds what one call puts, and so for how long Redis serves
// nobody else.
const recordsAtOnce = 256

// PutRecords implements log.Log.
func (r *Log) PutRecords(records []log.Record) error {
	if err := log.CheckRecords(records); err != nil {
		return err
	}
	for len(records) > 0 {
		n := min(len(records), recordsAtOnce)
		args := append(make([]string, 0, 2+3*n), r.recordTime(), strconv.Itoa(log.MaxRecords))
		for i := range records[:n] {
			record := &records[i]
			args = append(args, record.ID, strconv.FormatInt(record.Until.UnixMilli(), 10), string(record.Value))
		}
		if _, err := r.callRecords(putRecordsScript, args); err != nil {
			return err
		}
		records = records[n:]
	}
	return nil
}

// Record implements log.Log.
func (r *Log) Record(id string) ([]byte, bool, error) {
	reply, err := r.callRecords(getRecordScript, []string{r.recordTime(), id})
	if err != nil || len(reply) == 0 {
		return nil, false, err
	}
	return reply[0], true, nil
}

func (r *Log) recordTime() string {
	if r.options.Now == nil {
		return ""
	}
	return strconv.FormatInt(r.options.Now().UnixMilli(), 10)
}

func (r *Log) callRecords(s *script, args []string) ([][]byte, error) {
	client, err := r.connected()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.life, min(r.options.Timeout, 2*time.Second))
	defer cancel()
	reply, err := s.run(ctx, client, r.records, args)
	if err != nil {
		return nil, r.wrap("calling Redis for the record of a session", err)
	}
	values := make([][]byte, len(reply))
	for i := range reply {
		text, err := reply[i].ToString()
		if err != nil {
			return nil, errReply("record", err)
		}
		values[i] = []byte(text)
	}
	return values, nil
}
