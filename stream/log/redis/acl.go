package redis

// ACL are the rules of a Redis user with the least rights that a log
// needs, but for its name, its password and the prefix, which are to be put in:
//
//	user sidestream on >password ~sidestream:* <ACL>
//
// The commands of the first line are what the scripts are made of; nothing
// there looks at other keys, reads or changes the configuration, or empties a
// database. With sentinels, the user that they know needs SentinelACL.
const ACL = "resetchannels -@all " +
	"+unlink +hget +hmget +hset +hdel +hlen +hscan +hexists +hstrlen +xadd +xdel +xtrim +xlen +xrange +xrevrange +zadd +zrem +zcard +zrangebylex +time " +
	"+eval +evalsha +xread +wait " +
	"+ping +select +role " +
	"+cluster|slots +cluster|shards"

// SentinelACL are the rules of the user with which sentinels are asked
// for the master, and tell of a new one.
const SentinelACL = "resetkeys resetchannels &+switch-master &+reboot &+slave &+sdown &-sdown &+sentinel -@all " +
	"+ping +hello +auth +client|setname +subscribe +unsubscribe " +
	"+sentinel|sentinels +sentinel|get-master-addr-by-name +role"
