package redistest

import (
	"net"
	"strconv"
	"strings"
	"testing"
)

// Cluster is a Redis Cluster of masters without replicas.
type Cluster struct {
	Nodes []*Server
	// Addrs are the addresses of the nodes.
	Addrs []string

	t testing.TB
}

const clusterSlots = 16384

// StartCluster starts a Cluster of so many masters that share the slots evenly.
// Options are those of Start.
func StartCluster(t testing.TB, masters int, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	buses := make([]string, masters)
	for i := range masters {
		buses[i] = FreePort(t)
		s := Start(t, append([]string{
			"--cluster-enabled", "yes", "--cluster-port", buses[i], "--cluster-node-timeout", "2000",
			"--cluster-allow-replica-migration", "no",
		}, args...)...)
		c.Nodes, c.Addrs = append(c.Nodes, s), append(c.Addrs, s.Addr)
		from, to := i*clusterSlots/masters, (i+1)*clusterSlots/masters-1
		s.CLI("CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(from), strconv.Itoa(to))
	}
	for i, s := range c.Nodes[1:] {
		host, port, _ := net.SplitHostPort(s.Addr)
		c.Nodes[0].CLI("CLUSTER", "MEET", host, port, buses[i+1])
	}
	for _, s := range c.Nodes {
		Until(t, "the cluster is complete", func() bool {
			info := s.CLI("CLUSTER", "INFO")
			return strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_known_nodes:"+strconv.Itoa(masters))
		})
	}
	return c
}

// Owner is the place in Nodes of the master that has a key's slot.
func (c *Cluster) Owner(key string) int {
	c.t.Helper()
	slot := c.Nodes[0].CLI("CLUSTER", "KEYSLOT", key)
	n, err := strconv.Atoi(slot)
	if err != nil {
		c.t.Fatal(err)
	}
	for i, s := range c.Nodes {
		for _, line := range strings.Split(s.CLI("CLUSTER", "NODES"), "\n") {
			f := strings.Fields(line)
			if len(f) < 9 || !strings.Contains(f[2], "myself") {
				continue
			}
			for _, r := range f[8:] {
				from, to, ok := strings.Cut(r, "-")
				if !ok {
					to = from
				}
				low, err := strconv.Atoi(from)
				high, err2 := strconv.Atoi(to)
				if err == nil && err2 == nil && low <= n && n <= high {
					return i
				}
			}
		}
	}
	c.t.Fatalf("nobody has slot %s", slot)
	return 0
}

// Move gives the slot of a key, with all that is in it, to another node.
func (c *Cluster) Move(key string, to int) {
	c.t.Helper()
	from := c.Owner(key)
	if from == to {
		return
	}
	source, target := c.Nodes[from], c.Nodes[to]
	slot := source.CLI("CLUSTER", "KEYSLOT", key)
	sourceID, targetID := source.CLI("CLUSTER", "MYID"), target.CLI("CLUSTER", "MYID")
	target.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID)
	source.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", targetID)
	host, port, _ := net.SplitHostPort(target.Addr)
	if keys := strings.Fields(source.CLI("CLUSTER", "GETKEYSINSLOT", slot, "1000")); len(keys) > 0 {
		source.CLI(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
	}
	for _, s := range []*Server{target, source} {
		s.CLI("CLUSTER", "SETSLOT", slot, "NODE", targetID)
	}
	for i, s := range c.Nodes {
		if i != from && i != to {
			s.CLI("CLUSTER", "SETSLOT", slot, "NODE", targetID)
		}
	}
}
