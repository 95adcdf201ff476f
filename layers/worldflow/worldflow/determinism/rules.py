"""What cannot be replayed, by name: why not, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Why something has no place in a workflow, and what has."""

    why: str
    instead: str
    """May name the `{node}` that is against the rule."""
    is_hint: bool = False
    """Harmless to the replay, though hardly intended."""
    at_import: bool = False
    """Also a value that was made when the module was imported differs from process to process."""


_CLOCK = Rule(why="it returns a different time on replay", instead="worldflow.now()", at_import=True)
_STOPWATCH = Rule(why="it measures this process, not the run", instead="worldflow.now()", at_import=True)
_SLEEP = Rule(why="it blocks the process, again on every replay", instead="await worldflow.sleep()")
_CHANCE = Rule(why="it returns a different number on replay", instead="worldflow.random()", at_import=True)
_UUID = Rule(why="it returns a different id on replay", instead="worldflow.uuid4()", at_import=True)
_ENVIRONMENT = Rule(
    why="the environment may be different on replay", instead="an argument of the workflow, or a @step that reads it"
)
_MACHINE = Rule(why="the machine may be different on replay", instead="a @step")
_FILE = Rule(why="the file may be different or missing on replay", instead="a @step")
_NETWORK = Rule(why="every replay would repeat it and could get a different answer", instead="a @step")
_INPUT = Rule(why="there is no user to answer", instead="wait_for_signal()")
_PRINT = Rule(why="it prints again on every replay", instead="worldflow.logger, which logs once")
_LOG = Rule(why="it logs again on every replay", instead="worldflow.logger, which logs once", is_hint=True)
_THREAD = Rule(why="the history does not record what a thread does", instead="a plain (not async) function with @step")
_QUEUE = Rule(why="it blocks the process, not just the run", instead="asyncio.Queue")
_PROCESS = Rule(why="every replay would run it again", instead="a @step")
_SIGNAL = Rule(why="the history does not record process signals", instead="wait_for_signal()")
_LOOP = Rule(why="a workflow already runs in an event loop", instead="await the coroutine")
_REFUSED = Rule(
    why="a workflow's event loop does not support it, since a replay could not repeat it", instead="a @step"
)
_ADDRESS = Rule(why="it is different in every process", instead="a key of the value itself, or hashlib")
_UNORDERED = Rule(
    why="it hashes by its address, so a set of them has a different order on replay",
    instead="asyncio.create_task(), or get_running_loop().create_future()",
    is_hint=True,
)

SET_ORDER = Rule(
    why="a set of strings, and of most other values, has a different order in every process", instead="sorted({node})"
)
GLOBAL = Rule(
    why="all runs of a process share a module's variables, and a replay finds other values in them",
    instead="a local variable",
)

UNAWAITED = Rule(why="without await it does not run", instead="await {node}")
RETURNED = Rule(why="without await this returns the call instead of its result", instead="return await {node}")

SHARED_CHANCE = Rule(
    why="all runs of a process draw from it, so a replay draws other numbers", instead="worldflow.random()"
)


Group = tuple[Rule | None, str, str]
"""A rule, where its names are, and the names."""


def _loop(loop: str) -> Iterable[Group]:
    return (
        (_REFUSED, "", loop),
        (_THREAD, f"{loop}.", "run_in_executor call_soon_threadsafe set_default_executor"),
        (_SIGNAL, f"{loop}.", "add_signal_handler remove_signal_handler"),
        (_PROCESS, f"{loop}.", "subprocess_exec subprocess_shell"),
        (_LOOP, f"{loop}.", "run_forever run_until_complete stop close"),
        (
            None,
            f"{loop}.",
            """call_at call_exception_handler call_later call_soon create_future create_task default_exception_handler
            get_debug get_exception_handler get_task_factory is_closed is_running shutdown_asyncgens time""",
        ),
    )


def _rules(*groups: Group) -> Mapping[str, Rule | None]:
    return {f"{place}{name}": rule for rule, place, names in groups for name in _words(names)}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MENTIONS = _rules(
    (
        _CLOCK,
        "",
        """time.time time.time_ns time.clock_gettime time.clock_gettime_ns datetime.datetime.now datetime.date.today
        datetime.datetime.utcnow datetime.datetime.today arrow.now arrow.utcnow pendulum.now pendulum.today
        pendulum.tomorrow pendulum.yesterday django.utils.timezone.now django.utils.timezone.localdate""",
    ),
    (
        _STOPWATCH,
        "time.",
        """monotonic monotonic_ns perf_counter perf_counter_ns process_time process_time_ns thread_time
        thread_time_ns""",
    ),
    (_SLEEP, "time.", "sleep"),
    (_CHANCE, "random.", "SystemRandom"),
    (
        _CHANCE,
        "random.",
        """betavariate binomialvariate choice choices expovariate gammavariate gauss getrandbits getstate lognormvariate
        normalvariate paretovariate randbytes randint random randrange sample seed setstate shuffle triangular uniform
        vonmisesvariate weibullvariate""",
    ),
    (_CHANCE, "secrets.", "SystemRandom choice randbelow randbits token_bytes token_hex token_urlsafe"),
    (_CHANCE, "os.", "urandom getrandom"),
    (_UUID, "uuid.", "uuid1 uuid4 uuid6 uuid7 getnode"),
    (_ENVIRONMENT, "os.", "environ environb getenv getenvb"),
    (_ENVIRONMENT, "sys.", "argv"),
    (_FILE, "", "builtins.open io.open"),
    (_INPUT, "", "builtins.input getpass.getpass sys.stdin"),
    (_PRINT, "", "builtins.print pprint.pprint pprint.pp sys.stdout sys.stderr"),
    (_ADDRESS, "builtins.", "id hash"),
    (_THREAD, "asyncio.", "to_thread run_coroutine_threadsafe wrap_future"),
    (_LOOP, "asyncio.", "run Runner new_event_loop set_event_loop"),
    (_NETWORK, "asyncio.", "open_connection open_unix_connection start_server start_unix_server"),
    (_PROCESS, "asyncio.", "create_subprocess_exec create_subprocess_shell"),
)
"""Names that have no place in a workflow, called or not."""

CALLS = _rules(
    (_CHANCE, "", "numpy.random"),
    (None, "secrets.", "compare_digest"),
    (_MACHINE, "", "os platform"),
    (None, "os.", "fspath fsencode fsdecode strerror"),
    (None, "os.", "path"),
    (
        _FILE,
        "os.path.",
        """abspath exists expanduser expandvars getatime getctime getmtime getsize isdir isfile islink ismount lexists
        realpath samefile""",
    ),
    (_FILE, "pathlib.Path.", "cwd home"),
    (
        _FILE,
        "",
        """aiofiles anyio.open_file bz2.open fileinput glob gzip.open io.FileIO lzma.open shelve shutil sqlite3 tarfile
        tempfile zipfile""",
    ),
    (
        _NETWORK,
        "",
        """aiobotocore aioboto3 aiohttp anthropic asyncpg boto3 botocore ftplib grpc http.client httpx imaplib kafka
        openai poplib psycopg psycopg2 pymongo pymysql redis requests select selectors smtplib socket socketserver ssl
        urllib.request urllib3 websockets xmlrpc""",
    ),
    (_PROCESS, "", "subprocess"),
    (_PROCESS, "os.", "system popen posix_spawn posix_spawnp fork execv execve execvp"),
    (_SIGNAL, "", "signal"),
    (_THREAD, "", "_thread anyio.from_thread anyio.to_thread concurrent.futures multiprocessing threading"),
    (_QUEUE, "", "queue"),
    (_UNORDERED, "asyncio.", "Future Task"),
    *(group for loop in ("asyncio.get_running_loop()", "asyncio.get_event_loop()") for group in _loop(loop)),
    (
        _LOG,
        "",
        """aws_lambda_powertools.Logger() logging.getLogger() logging.critical logging.debug logging.error
        logging.exception logging.info logging.log logging.warning loguru.logger structlog.get_logger()
        structlog.getLogger()""",
    ),
    (None, "logging.getLogger().", "getChild getEffectiveLevel isEnabledFor"),
)
"""Names of which nothing below may be called, such as `requests.get()`. None: but this may."""

NEEDS_ARGUMENTS: Mapping[str, tuple[int, Rule]] = {
    "random.Random": (1, _CHANCE),
    "numpy.random.default_rng": (1, _CHANCE),
    "time.asctime": (1, _CLOCK),
    "time.ctime": (1, _CLOCK),
    "time.gmtime": (1, _CLOCK),
    "time.localtime": (1, _CLOCK),
    "time.strftime": (2, _CLOCK),
}
"""Functions that say always the same, if they are told so much; with fewer arguments they ask the process."""

_PATH_METHODS = _words(
    """absolute chmod exists expanduser glob group hardlink_to is_block_device is_char_device is_dir is_fifo is_file
    is_mount is_socket is_symlink iterdir lchmod lstat mkdir open owner read_bytes read_text readlink rename replace
    resolve rglob rmdir samefile stat symlink_to touch unlink walk write_bytes write_text"""
)

_SOURCES_OF_CHANCE = frozenset({"random.Random", "numpy.random.default_rng"})


def mentioned(name: str) -> Rule | None:
    """What is wrong with using this name at all."""
    return MENTIONS.get(name)


def called(name: str, arguments: int) -> Rule | None:
    """What is wrong with calling this name with this number of arguments."""
    if name in NEEDS_ARGUMENTS:
        needed, rule = NEEDS_ARGUMENTS[name]
        return rule if arguments < needed else None
    if name in MENTIONS:
        return MENTIONS[name]
    last = name.rpartition(".")[2]
    if name.startswith("pathlib.Path()") and last in _PATH_METHODS:
        return _FILE
    if last[:1].isupper() and last.endswith(("Error", "Exception", "Warning")):
        return None  # it is raised, or compared with
    for place in _places(name):
        if place in CALLS:
            return CALLS[place]
    return None


def _places(name: str) -> Iterable[str]:
    """The name itself, and all that it is below."""
    while name:
        yield name
        name = name[:-2] if name.endswith("()") else name.rpartition(".")[0]


def made_at_import(name: str, arguments: int) -> Rule | None:
    """What is wrong with using, in a workflow, what a module got by calling this when it was imported."""
    rule = called(name, arguments)
    if rule is not None and rule.at_import:
        return Rule(
            why="it is created when the module is imported, so it differs in each process", instead=rule.instead
        )
    return SHARED_CHANCE if name in _SOURCES_OF_CHANCE else None
