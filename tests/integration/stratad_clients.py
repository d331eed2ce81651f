#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""stratad as the clients that people use meet it: redis-py, redis-cli, redis-benchmark.

Takes the path of the daemon; starts it before a private Redis, or with the word "cluster" before
three that form one, prints "ok - " and "not ok - " lines, and ends all. The clients do not know
the difference."""
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import redis

PATIENCE = 20  # seconds, for what usually takes none


def wait_for(fact, what):
    end = time.monotonic() + PATIENCE
    while not fact():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def free_port():
    """One that is free now, and the bus port of a cluster's node above it, too."""
    while True:
        with socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", 0))
            port = low.getsockname()[1]
            try:
                high.bind(("127.0.0.1", port + 10000))
                return port
            except (OSError, OverflowError):
                pass


class Bench:
    """A Redis and a stratad in a folder of their own."""
    tag = "py"  # of keys that a transaction may have together

    def __init__(self, program, folder):
        self.folder = pathlib.Path(folder)
        self.redis_socket = str(self.folder / "redis.sock")
        self.log = self.folder / "stratad.log"
        self.processes = []
        try:
            options = self.start_redis()
            self.start([program, "--listen", "127.0.0.1:0", "--workers", "2", *options],
                       "stratad.log")
            wait_for(lambda: "is ready" in self.log.read_text(), "stratad does not start")
        except Exception:
            self.stop()
            raise
        listens = re.search(r"listening on 127\.0\.0\.1:(\d+)", self.log.read_text())
        self.port = int(listens.group(1))

    def start_redis(self):
        """The options that lead stratad to it."""
        self.start_server("--port", "0", "--unixsocket", self.redis_socket)
        wait_for(lambda: os.path.exists(self.redis_socket), "redis-server does not start")
        return ["--redis-url", "unix://" + self.redis_socket]

    def start_server(self, *options):
        self.start(["redis-server", "--save", "", "--appendonly", "no", "--daemonize", "no",
                    "--dir", str(self.folder), *options], "redis.log")

    def start(self, command, log):
        with open(self.folder / log, "wb") as output:
            self.processes.append(subprocess.Popen(command, stdout=output, stderr=output,
                                                   stdin=subprocess.DEVNULL))

    def stop(self):
        """True where stratad ended well."""
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
        codes = [process.wait(PATIENCE) for process in self.processes]
        return codes[-1] == 0

    def client(self, **options):
        return redis.Redis(port=self.port, **options)

    def direct(self):
        return redis.Redis(unix_socket_path=self.redis_socket)

    def version(self):
        return self.direct().info()["redis_version"]

    def cli(self, *arguments, text=None):
        command = ["redis-cli", "-p", str(self.port), *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=60,
                              check=False).stdout

    def benchmark(self, *arguments):
        command = ["redis-benchmark", "-p", str(self.port), "--csv", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


class ClusterBench(Bench):
    """The same with a cluster of three."""
    tag = "{py}"

    def start_redis(self):
        self.ports = [free_port() for _ in range(3)]
        for port in self.ports:
            self.start_server("--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled",
                              "yes", "--cluster-config-file", f"nodes-{port}.conf")
        wait_for(lambda: all(self.answers(port) for port in self.ports), "nodes do not start")
        nodes = [f"127.0.0.1:{port}" for port in self.ports]
        subprocess.run(["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
                       check=True, capture_output=True, timeout=60)
        wait_for(lambda: all(self.is_well(port) for port in self.ports), "no cluster forms")
        return ["--cluster-enabled", "yes", "--cluster-nodes", nodes[0]]

    @staticmethod
    def answers(port):
        try:
            return redis.Redis(port=port).ping()
        except redis.ConnectionError:
            return False

    @staticmethod
    def is_well(port):
        info = subprocess.run(["redis-cli", "-p", str(port), "cluster", "info"],
                              capture_output=True, text=True, timeout=60, check=False).stdout
        return "cluster_state:ok" in info

    def direct(self):
        return redis.RedisCluster(host="127.0.0.1", port=self.ports[0])

    def version(self):
        return redis.Redis(port=self.ports[0]).info()["redis_version"]


def refused(function):
    try:
        function()
    except redis.ResponseError as error:
        return "strata:" in str(error)
    return False


def py_strings(bench):
    client = bench.client(decode_responses=True, client_name="tester")
    assert client.ping() and client.client_getname() == "tester"
    assert client.set("py:s", "v", ex=100) and client.get("py:s") == "v"
    assert 0 < client.ttl("py:s") <= 100 and client.persist("py:s")
    assert client.set("py:s", "w", nx=True) is None and client.set("py:s", "w", xx=True)
    assert client.set("py:s", "x", get=True) == "w" and client.getset("py:s", "y") == "x"
    assert client.incr("py:n", 5) == 5 and client.incrbyfloat("py:n", 0.5) == 5.5
    assert client.mset({"py:a": "1", "py:b": "2"}) and client.mget("py:a", "no", "py:b") == [
        "1", None, "2"]
    assert client.delete("py:a", "py:b", "no") == 2 and client.exists("py:a", "py:s") == 1
    assert client.getdel("py:s") == "y" and client.get("py:s") is None


def py_binary(bench):
    client = bench.client()
    for size in (0, 1, 1000, 100000, 3000000):
        value = os.urandom(size)
        assert client.set(b"\0\r\n key", value)
        assert client.get(b"\0\r\n key") == value and client.get(b"\0\r\n key") == value


def py_other_types(bench):
    client = bench.client(decode_responses=True)
    assert client.hset("py:h", mapping={"a": "1", "b": "2"}) == 2
    assert client.hgetall("py:h") == {"a": "1", "b": "2"}
    assert client.rpush("py:l", 1, 2, 3) == 3 and client.lrange("py:l", 0, -1) == ["1", "2", "3"]
    assert client.zadd("py:z", {"a": 1, "b": 2.5}) == 2
    assert client.zrange("py:z", 0, -1, withscores=True) == [("a", 1.0), ("b", 2.5)]
    assert client.sadd("py:set", "x") == 1 and client.smembers("py:set") == {"x"}
    assert client.xadd("py:x", {"f": "v"}, id="1-1") == "1-1"
    assert client.xrange("py:x") == [("1-1", {"f": "v"})]
    assert client.eval("return redis.call('get', KEYS[1])", 1, "no") is None
    script = client.register_script("return redis.call('incr', KEYS[1])")
    assert script(keys=["py:scripted"]) == 1 and client.get("py:scripted") == "1"
    assert set(client.scan_iter("py:[hlz]")) == {"py:h", "py:l", "py:z"}
    assert client.info()["redis_version"] == bench.version()


def py_pipelines(bench):
    client = bench.client(decode_responses=True)
    pipe = client.pipeline(transaction=False)
    for i in range(2000):
        pipe.set(f"py:p:{i}", i).get(f"py:p:{i}").hset("py:ph", i, i).incr("py:pn")
    replies = pipe.execute()
    assert replies == [x for i in range(2000) for x in (True, str(i), 1, i + 1)]


def py_transactions(bench):
    """What redis-py wraps in MULTI and EXEC by itself."""
    client = bench.client(decode_responses=True)
    pipe = client.pipeline(transaction=True)
    for i in range(200):
        key = f"{bench.tag}:m:{i}"
        pipe.set(key, i).get(key).hset(bench.tag + ":mh", i, i).incr(bench.tag + ":mn")
    assert pipe.execute() == [x for i in range(200) for x in (True, str(i), 1, i + 1)]
    assert client.get(bench.tag + ":mn") == "200"


def py_refusals(bench):
    client = bench.client()
    assert refused(client.client_list)
    assert refused(lambda: client.execute_command("PSYNC", "?", "-1"))
    assert client.ping()


def py_own_refused_before_a_cluster(bench):
    client = bench.client()
    assert refused(lambda: client.wait(0, 100))
    assert client.ping()


def py_pubsub(bench):
    """A thread that listens, as programs do; and what another client of Redis publishes."""
    client, direct = bench.client(decode_responses=True), bench.direct()
    heard = []
    pubsub = client.pubsub()
    pubsub.subscribe(**{"py:news": heard.append})
    pubsub.psubscribe(**{"py:n*": heard.append})
    thread = pubsub.run_in_thread(sleep_time=0.01)
    wait_for(lambda: direct.pubsub_numpat() == 1, "not subscribed")
    for i in range(100):
        (client if i % 2 else direct).publish("py:news", i)
    wait_for(lambda: len(heard) >= 200, "messages are missing")
    thread.stop()
    thread.join()
    assert [m["data"] for m in heard if m["type"] == "message"] == [str(i) for i in range(100)]
    assert [m["data"] for m in heard if m["type"] == "pmessage"] == [str(i) for i in range(100)]
    wait_for(lambda: direct.pubsub_numpat() == 0, "still subscribed")
    assert client.ping()


def py_pubsub_health_check(bench):
    """redis-py pings on a subscribed connection, and unsubscribes by itself."""
    client = bench.client(decode_responses=True, health_check_interval=0.001)
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe("py:health")
    end = time.monotonic() + PATIENCE
    while (message := pubsub.get_message(timeout=0.05)) is None:
        assert time.monotonic() < end
        bench.direct().publish("py:health", "x")
    assert message["data"] == "x"
    pubsub.unsubscribe()
    pubsub.close()


def py_queue(bench):
    """Workers that take jobs from a list, and a producer."""
    client = bench.client(decode_responses=True)
    high, low, other = (f"{bench.tag}:{name}" for name in ("high", "low", "other"))
    none, moved, stream = (f"{bench.tag}:{name}" for name in ("none", "moved", "stream"))
    jobs, done = 300, []

    def work():
        while (job := client.blpop([high, low], timeout=PATIENCE)) is not None:
            if job[1] == "stop":
                return
            done.append(int(job[1]))

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for i in range(jobs):
        client.rpush(high if i % 2 else low, i)
    wait_for(lambda: len(done) == jobs, "jobs are missing")
    client.rpush(low, *["stop"] * len(workers))
    for worker in workers:
        worker.join()
    assert sorted(done) == list(range(jobs))
    assert client.blpop(none, timeout=0.05) is None
    assert client.brpoplpush(none, other, timeout=1) is None
    client.rpush(moved, "x")
    assert client.blmove(moved, other, 1) == "x" and client.lpop(other) == "x"
    assert client.bzpopmin(none, timeout=0.05) is None
    client.xadd(stream, {"f": "v"}, id="1-1")
    assert client.xread({stream: "0"}, block=1000) == [[stream, [("1-1", {"f": "v"})]]]
    assert client.xread({stream: "$"}, block=20) == []


def py_wait(bench):
    assert bench.client().wait(0, 100) == 0


def py_watch(bench):
    """The loop of redis-py's documentation, by many at once: no step is lost."""
    client = bench.client(decode_responses=True)
    client.set("py:counter", 0)

    def step(pipe):
        value = int(pipe.get("py:counter"))
        pipe.multi()
        pipe.set("py:counter", value + 1)

    def work():
        for _ in range(50):
            client.transaction(step, "py:counter")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.get("py:counter") == "300"
    with client.pipeline() as pipe:
        pipe.watch("py:counter")
        bench.direct().set("py:counter", 7)
        pipe.multi()
        pipe.set("py:counter", 8)
        try:
            pipe.execute()
        except redis.WatchError:
            pass
        else:
            raise AssertionError("carried out over the change of another")
    assert client.get("py:counter") == "7"
    lock = client.lock("py:lock", timeout=PATIENCE)
    assert lock.acquire() and lock.owned()
    lock.release()


def py_monitor(bench):
    client = bench.client()
    with client.monitor() as monitor:
        bench.direct().echo("py:seen")
        while "py:seen" not in monitor.next_command()["command"]:
            pass
    assert client.ping()


def py_threads(bench):
    """One pool of connections, many threads; every thread reads its own writes."""
    client = bench.client(decode_responses=True, max_connections=16)
    wrong = []

    def work(number):
        for i in range(300):
            client.set(f"py:t:{number}", i)
            if client.get(f"py:t:{number}") != str(i):
                wrong.append((number, i))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def py_what_others_write_is_seen(bench):
    client, direct = bench.client(), bench.direct()
    direct.set("py:others", "old")
    assert client.get("py:others") == b"old"
    direct.set("py:others", "new")
    end = time.monotonic() + 10
    while client.get("py:others") != b"new":
        assert time.monotonic() < end
    client.delete("py:others")
    assert client.get("py:others") is None


def cli_words(bench):
    assert bench.cli("set", "cli:k", "v") == "OK\n" and bench.cli("get", "cli:k") == "v\n"
    assert bench.cli("-3", "hello", "3").startswith("server redis\nversion ")
    bench.cli("hset", "cli:h", "f", "v")
    assert bench.cli("-3", "--json", "hgetall", "cli:h") == '{"f":"v"}\n'
    assert bench.cli("--scan", "--pattern", "cli:h") == "cli:h\n"
    assert '"l1":' in bench.cli("strata", "stats")
    assert "Biggest" in bench.cli("--bigkeys")


def cli_subscribe(bench):
    """redis-cli in RESP3, too, until it is interrupted."""
    for protocol in ("-2", "-3"):
        cli = subprocess.Popen(["redis-cli", protocol, "-p", str(bench.port), "subscribe", "cli:c"],
                               stdout=subprocess.PIPE, text=True)
        wait_for(lambda: bench.direct().pubsub_numsub("cli:c") == [(b"cli:c", 1)], "no subscriber")
        bench.direct().publish("cli:c", "hello")
        while "hello" not in cli.stdout.readline():
            assert cli.poll() is None
        cli.send_signal(signal.SIGINT)
        cli.wait(PATIENCE)
        cli.stdout.close()
        wait_for(lambda: bench.direct().pubsub_numsub("cli:c") == [(b"cli:c", 0)], "it stays")


def cli_script(bench):
    text = "".join(f"set cli:many:{i} {i}\nget cli:many:{i}\n" for i in range(500))
    assert bench.cli(text=text).split() == [x for i in range(500) for x in ("OK", str(i))]


def cli_pipe(bench):
    text = "".join(f"*3\r\n$3\r\nSET\r\n$8\r\npipe:{i:03}\r\n$3\r\n{i:03}\r\n" for i in range(999))
    assert "errors: 0, replies: 999" in bench.cli("--pipe", text=text)
    assert bench.cli("get", "pipe:998") == "998\n"


def benchmark_all(bench):
    ran = bench.benchmark("-n", "5000", "-P", "16", "-c", "20", "-r", "1000")
    lines = [line for line in ran.stdout.splitlines() if line.startswith('"')]
    assert ran.returncode == 0 and len(lines) > 15, ran.stdout + ran.stderr
    ran = bench.benchmark("-n", "2000", "-t", "get,set,mset", "-3")
    assert ran.returncode == 0, ran.stderr


CHECKS = [py_strings, py_binary, py_other_types, py_pipelines, py_transactions, py_refusals,
          py_threads, py_what_others_write_is_seen, cli_words, cli_script, cli_pipe, benchmark_all]
OWN = [py_pubsub, py_pubsub_health_check, py_queue, py_wait, py_watch, py_monitor, cli_subscribe]
OWN_CLUSTER = [py_queue, py_watch, py_own_refused_before_a_cluster]


def main():
    failed = 0
    with tempfile.TemporaryDirectory(prefix="strata-clients-") as folder:
        cluster = sys.argv[2:] == ["cluster"]
        bench = (ClusterBench if cluster else Bench)(sys.argv[1], folder)
        for check in CHECKS + (OWN_CLUSTER if cluster else OWN):
            try:
                check(bench)
                print(f"ok - clients: {check.__name__}", flush=True)
            except Exception as error:  # whatever it is, it has failed
                failed += 1
                print(f"not ok - clients: {check.__name__}: {error!r}", flush=True)
        if not bench.stop():
            failed += 1
            print(f"not ok - clients: stratad ends well\n{bench.log.read_text()}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
