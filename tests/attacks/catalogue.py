"""The attempts, each with the judge that sees whether it got through."""

from typing import Literal

from attrs import frozen

from . import scene as see
from .world import LIMITS

Place = Literal["together", "dyno", "program", "terminal", "output"]
Control = Literal["anyone", "root", "user", "here", "nobody"]


@frozen
class Attempt:
    """One thing that a hostile app tries; ``name`` is that of its function in ``tests/attackers/``.

    ``place``: in a dyno with others, in one of its own, or in one of its own of a host program of its own; or in a
    one-off that is attached to the terminal of such a program, or to its output only.
    ``control``: who succeeds without any protection: anyone, root only, users only, whoever succeeds *here* because it
    depends on the kernel and the machine, or nobody, and then ``note`` says why it is nonetheless right.
    """

    group: str
    name: str
    judge: see.Judge
    control: Control = "anyone"
    place: Place = "together"
    note: str = ""

    @property
    def ended(self) -> bool:
        """Whether it is judged by what stopping its dyno is like."""
        return self.judge.__qualname__.startswith("trouble")


_A, _C, _E = see.loot, see.changed, see.made
_CLEAN_UP = "nothing cleans up after the control; what is judged is the promise that leftovers harm nobody"
_STOP = "the control is stopped with SIGKILL, by the suite; what is judged is that stop() ends it"

CATALOGUE = (
    # -- files
    Attempt("files", "slug-write", _C("slug/write")),
    Attempt("files", "slug-truncate", _C("slug/truncate")),
    Attempt("files", "slug-rename", _E("slug/renamed")),
    Attempt("files", "slug-unlink", _C("slug/unlink")),
    Attempt("files", "slug-create", _E("slug/created")),
    Attempt("files", "slug-touch", lambda scene: scene.path("slug/touch").stat().st_mtime == 1),
    Attempt("files", "slug-xattr", see.has_attribute("slug/xattr", "user.attack"), "here"),
    Attempt("files", "slug-reopen", _C("slug/reopen")),
    Attempt("files", "slug-replace", _C("other/file")),
    Attempt("files", "profile-write", _E(".profile.d/evil.sh")),
    Attempt("files", "mount-over", see.mounted, "root"),
    Attempt("files", "mount-new-interface", see.mount_held, "root"),
    Attempt("files", "mount-proc", see.mounted, "root"),
    Attempt("files", "remount-writable", see.written_in_own_mount("slug/remount"), "root"),
    Attempt("files", "unmount-app", see.tmp_is_no_mount, "root"),
    Attempt("files", "read-home", _A("home")),
    Attempt("files", "read-root", _A("root"), "root"),
    Attempt("files", "read-shadow", _A("shadow"), "root"),
    Attempt("files", "read-machine-id", _A("machine-id"), "here"),
    Attempt("files", "read-store", _A("other")),
    Attempt("files", "write-store", see.host_changed("store_file")),
    Attempt("files", "write-host", see.host_made("{drop}/written")),
    Attempt("files", "write-tmp", see.host_made("/tmp/atk-{run}")),
    Attempt("files", "write-var-tmp", see.host_made("/var/tmp/atk-{run}")),
    Attempt("files", "write-shm", see.host_made("/dev/shm/atk-{run}")),
    Attempt("files", "neighbour-tmp", _A("neighbour-tmp")),
    Attempt("files", "neighbour-log", _A("neighbour-log")),
    Attempt("files", "neighbour-write", see.in_neighbour("tmp/written")),
    Attempt("files", "proc-root", _A("home"), "here"),
    Attempt("files", "proc-any-root", _A("home")),
    Attempt("files", "open-by-handle", _A("home"), "root"),
    Attempt("files", "core-pattern", see.holds("/core_pattern$"), "root"),
    Attempt("files", "sysrq", see.holds("/sysrq-trigger$"), "here"),
    Attempt("files", "any-sysctl", see.holds("/proc/sys/"), "root"),
    Attempt("files", "any-sys", see.holds("^/sys/"), "root"),
    Attempt("files", "proc-bus-irq", see.holds("^/proc/(irq|mtrr)"), "root"),
    Attempt("files", "release-agent", see.holds("/release_agent$"), "here"),
    Attempt("files", "mount-cgroup", see.mounted, "root"),
    Attempt("files", "leave-cgroup", see.proc_file("", "cgroup", lambda text: "slugkit-atk" in text), "here"),
    Attempt("files", "disks", see.holds_disk, "here"),
    Attempt("files", "kernel-nodes", see.holds("^/dev/(mem|kmem|port|kmsg|fuse|kvm|loop|net|vhost|cpu)"), "here"),
    Attempt("files", "mknod", see.holds_disk, "here"),
    # -- links
    Attempt("links", "hard-link-out", see.hard_linked),
    Attempt("links", "hard-link-slug", _C("slug/hard")),
    Attempt("links", "symlink-out", _A("home")),
    Attempt("links", "magic-link-out", _A("home")),
    Attempt("links", "climb-out", _A("home")),
    *(
        Attempt("links", name, see.trouble("precious", "stop", "left"), "nobody", "dyno", _CLEAN_UP)
        for name in ("tmp-to-link", "log-to-link", "home-to-link", "link-in-tmp")
    ),
    # -- descriptors
    Attempt("descriptors", "inherited", _A("inherited")),
    Attempt("descriptors", "inherited-message", _A("sent")),
    Attempt("descriptors", "inherited-pipe", see.garbage_came),
    Attempt("descriptors", "standard-input", _A("stdin")),
    Attempt("descriptors", "open-above", see.shares_descriptor),
    Attempt("descriptors", "open-all", see.shares_descriptor),
    Attempt("descriptors", "take-above", see.shares_descriptor),
    Attempt("descriptors", "take-victim", _A("victim-memfd")),
    Attempt("descriptors", "open-victim", _A("victim-memfd")),
    Attempt("descriptors", "garbage", see.trouble(), place="program"),
    Attempt("descriptors", "close-lifeline", see.trouble(), place="program"),
    # -- terminals
    Attempt("terminals", "type-for-host", see.typed, "here", "terminal"),
    Attempt("terminals", "type-on-output", see.typed, "here", "output"),
    Attempt("terminals", "paste-for-host", see.typed, "here", "terminal"),
    # -- processes
    Attempt("processes", "trace-victim", see.traced("victim")),
    Attempt("processes", "trace-neighbour", see.traced("neighbour")),
    Attempt("processes", "trace-above", see.traced_above),
    Attempt("processes", "trace-own", see.traced_own),
    Attempt("processes", "read-memory", _A("victim-memory")),
    Attempt("processes", "read-neighbour-memory", _A("neighbour-memory")),
    Attempt("processes", "write-memory", see.scribbled),
    Attempt("processes", "proc-mem", _A("victim-memory")),
    Attempt("processes", "memory-above", see.holds_memory_above),
    Attempt("processes", "proc-cwd", _A("home")),
    Attempt("processes", "kernel-memory", see.holds("/kcore$"), "here"),
    Attempt("processes", "kernel-addresses", _A("kallsyms"), "here"),
    Attempt("processes", "kernel-log", see.kernel_said, "here"),
    Attempt("processes", "victims-score", see.proc_file("score", "oom_score_adj", lambda text: text == "777\n")),
    Attempt(
        "processes",
        "victims-limits",
        see.proc_file("limits", "limits", lambda text: "Max open files            7 " in text),
    ),
    Attempt("processes", "victims-nice", see.process("nice", "nice", "17")),
    Attempt("processes", "victims-processors", see.affinity("affinity"), "here"),
    Attempt("processes", "own-score", see.proc_file("", "oom_score_adj", lambda text: text == "-900\n"), "here"),
    Attempt("processes", "first-in-line", see.own("nice", lambda text: text == "-10"), "here"),
    Attempt("processes", "real-time", see.own("policy", lambda text: text == "1"), "here"),
    Attempt("processes", "processes-seen", _A("victim-argument")),
    # -- secrets
    Attempt("secrets", "own-environment", _A("host")),
    Attempt("secrets", "environment-above", _A("host")),
    Attempt("secrets", "any-environment", _A("host")),
    Attempt("secrets", "victims-environment", _A("victim-environment")),
    Attempt("secrets", "neighbours-config", _A("neighbour-config")),
    Attempt(
        "secrets",
        "config-in-arguments",
        _A("neighbour-config"),
        "nobody",
        note="only a helper of slugkit's could do that",
    ),
    Attempt("secrets", "host-name", _A("host-name")),
    Attempt("secrets", "host-paths", _A("scratch")),
    Attempt("secrets", "users", _A("last-user")),
    Attempt("secrets", "routes", _A("address"), "here"),
    # -- signals
    Attempt("signals", "kill-victim", see.dead("kill")),
    Attempt("signals", "stop-victim", see.process("stop", "state", "T")),
    Attempt("signals", "kill-thread", see.dead("tgkill")),
    Attempt("signals", "kill-by-descriptor", see.dead("pidfd")),
    Attempt("signals", "kill-queued", see.dead("queue")),
    Attempt("signals", "kill-by-owner", see.dead("owner")),
    Attempt("signals", "kill-neighbour", see.trouble("neighbour"), place="program"),
    Attempt("signals", "kill-group", see.trouble("group", "host"), place="program"),
    *(
        Attempt(
            "signals", name, see.trouble(), "nobody", "program", "never tried where it would reach the whole machine"
        )
        for name in ("kill-all", "stop-all")
    ),
    *(
        Attempt("signals", name, see.trouble(), place="program")
        for name in ("signals-above", "kill-above", "stop-above")
    ),
    *(
        Attempt("signals", name, see.trouble(), "nobody", "dyno", _STOP)
        for name in ("trace-above-and-hold", "outlive-parent")
    ),
    # -- sockets
    Attempt("sockets", "abstract-host", _A("victim-socket")),
    Attempt("sockets", "abstract-neighbour", _A("neighbour-socket")),
    Attempt("sockets", "unix-host", _A("victim-socket")),
    Attempt("sockets", "unix-run", _A("victim-socket")),
    Attempt("sockets", "loopback-host", _A("victim-socket")),
    Attempt("sockets", "loopback-neighbour", _A("neighbour-socket")),
    Attempt("sockets", "vsock-host", _A("victim-socket"), "here"),
    Attempt("sockets", "raw-socket", see.socket_in("raw"), "root"),
    Attempt("sockets", "packet-socket", see.socket_in("packet"), "root"),
    Attempt("sockets", "netlink-events", see.socket_in("netlink"), "here"),
    Attempt("sockets", "listen-elsewhere", see.listening),
    Attempt("sockets", "listen-low", see.listening_low, "here"),
    # -- ipc, keys, io_uring
    Attempt("kernel", "shared-memory", _A("shm")),
    Attempt("kernel", "semaphore", see.semaphore_set),
    Attempt("kernel", "message-queue", _A("message")),
    Attempt("kernel", "posix-queue", _A("mq")),
    Attempt("kernel", "posix-segment", _A("segment")),
    Attempt("kernel", "session-key", _A("session_key")),
    Attempt("kernel", "user-key", _A("user_key")),
    Attempt("kernel", "leave-key", see.key_left),
    Attempt("kernel", "keys-seen", _A("key-name"), "here"),
    Attempt("kernel", "own-keyring", _A("keyring-name")),
    Attempt("kernel", "io-uring", see.holds("io_uring"), "here"),
    Attempt("kernel", "bpf", see.holds("bpf"), "here"),
    Attempt("kernel", "perf-events", see.holds("perf_event"), "here"),
    Attempt("kernel", "page-faults", see.holds("userfaultfd"), "here"),
    Attempt("kernel", "file-events", see.holds("fanotify"), "here"),
    *(
        Attempt("kernel", name, see.told("allowed"), "here")
        for name in ("load-module", "load-kernel", "restart-machine", "swap-on")
    ),
    # -- privilege
    Attempt("privilege", "set-user", see.status("Uid", lambda text: "0" in text.split()), "root"),
    Attempt("privilege", "set-groups", see.status("Groups", lambda text: text == "4 6"), "root"),
    Attempt("privilege", "set-capabilities", see.status("CapEff", lambda text: int(text, 16) != 0), "root"),
    Attempt("privilege", "gain-privileges", see.status("NoNewPrivs", lambda text: text == "0")),
    Attempt("privilege", "as-started", see.status("CapBnd", lambda text: int(text, 16) != 0)),
    Attempt("privilege", "setuid-program", see.someone_is_root, "here"),
    Attempt("privilege", "capable-file", see.has_attribute("tmp/capable", "security.capability"), "root"),
    Attempt("privilege", "new-user-namespace", see.namespace("user"), "here"),
    Attempt("privilege", "cloned-user-namespace", see.namespace("user"), "here"),
    Attempt("privilege", "new-network", see.namespace("net"), "root"),
    Attempt("privilege", "join-namespace", see.namespace_of("namespaced", "net"), "here"),
    Attempt("privilege", "change-root", see.rooted, "root"),
    Attempt("privilege", "foreign-calls", see.named("atk-i386"), "here"),
    Attempt("privilege", "personality", see.personality(0x0440000)),
    # -- resources
    Attempt("resources", "fork-bomb", see.more_processes(LIMITS["processes"]), place="dyno"),
    Attempt("resources", "threads", see.more_threads(LIMITS["processes"]), place="dyno"),
    Attempt("resources", "memory-sum", see.more_memory(LIMITS["memory"]), place="dyno"),
    *(
        Attempt("resources", name, see.more_bytes(LIMITS["tmp"]), "here", "dyno")
        for name in ("fill-tmp", "fill-log", "fill-slash-tmp", "fill-shm")
    ),
    Attempt("resources", "fill-inodes", see.more_files(LIMITS["inodes"]), place="dyno"),
    Attempt("resources", "open-files", see.more_descriptors(LIMITS["files"]), "here", "dyno"),
    Attempt("resources", "locked-memory", see.status("VmLck", lambda text: int(text.split()[0]) > 16384), "here"),
    *(Attempt("resources", name, see.trouble(), "nobody", "dyno", _STOP) for name in ("hog", "forking")),
    *(
        Attempt("resources", name, see.trouble("stop", "left"), "nobody", "dyno", _CLEAN_UP)
        for name in ("deep-directory", "locked-directory", "immutable-file")
    ),
    *(
        Attempt("resources", name, see.trouble("stop", "memory", "run"), "nobody", "dyno", _STOP)
        for name in ("log-flood", "endless-line")
    ),
)
