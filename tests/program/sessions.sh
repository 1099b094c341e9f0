#!/bin/sh
# Records a session of DNS over TCP (dnsmasq and dig) and one of PostgreSQL (postgres, psql and pgbench) as dns.pcap and
# postgresql.pcap, in a network namespace of its own: sessions.sh DIR. PostgreSQL does not run as root: then nobody runs it.
set -eu
dir=$1
if [ "$(id -u)" = 0 ]; then
    chown nobody "$dir"
    exec setpriv --reuid nobody --clear-groups -- sh "$0" "$dir"
fi
if [ "${2-}" != inside ]; then
    exec unshare --user --map-current-user --keep-caps --net -- sh "$0" "$dir" inside
fi

PATH=$PATH:/usr/sbin:/sbin:$(echo /usr/lib/postgresql/*/bin)
cd "$dir"
ip link set lo mtu 1500 gso_max_segs 1 up

# Captures port $1 to file $2 while the command that follows runs.
recorded() {
    port=$1 file=$2
    shift 2
    dumpcap -q -P -i lo -f "tcp port $port" -w "$file" 2>dumpcap.log &
    capture=$!
    until grep -q Capturing dumpcap.log; do sleep 0.1; done
    sleep 0.5
    "$@" >session.log
    sleep 0.5
    kill -INT $capture
    wait $capture
}

text=$(printf '%0200d' 0)
dnsmasq --keep-in-foreground --conf-file=/dev/null --port=5300 --listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts \
    --user="$(id -un)" --pid-file= --address=/test/192.0.2.7 --txt-record="long.test,$text,$text,$text,$text,$text,$text,$text,$text" \
    2>dnsmasq.log &
server=$!
until dig +tcp +time=1 +tries=1 -p 5300 @127.0.0.1 ready.test >/dev/null; do sleep 0.1; done
recorded 5300 dns.pcap dig +tcp +keepopen -p 5300 @127.0.0.1 a.test b.test long.test TXT a.example c.test AAAA d.test e.test
kill $server

initdb -D data -A trust -U unstick --no-sync >initdb.log
postgres -D data -p 5400 -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off >postgres.log 2>&1 &
server=$!
export PGHOST=127.0.0.1 PGPORT=5400 PGUSER=unstick PGDATABASE=postgres PGSSLMODE=disable PGGSSENCMODE=disable
until pg_isready -q; do sleep 0.1; done
cat >session.sql <<'SQL'
create table t (number int, text text);
insert into t select n, repeat(chr(n % 26 + 97), n) from generate_series(1, 200) n;
select * from t;
select '你好', repeat('x', 10000), '';
select 1/0;
notify unstick, 'a notification';
SQL
recorded 5400 postgresql.pcap psql -q -f session.sql 2>errors.log
kill -INT $server
wait $server
