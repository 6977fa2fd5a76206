"""What a user sees while runs are under way: where they stand and what is left."""

import time

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from keras_asgld.runs import record_contents, tasks


class Progress:
    """Live progress over all runs: a bar on a terminal, else lines now and then.

    Use as a context manager. Everything goes to standard error.

    Args:
        runs: How many runs there will be.
        epochs: Epochs of each.
        steps: Training steps of an epoch.
        interval: Least number of seconds between two lines about epochs, where
            the output is no terminal.
        at_least: Whether there may be more runs than are known yet.
    """

    def __init__(self, runs, epochs, steps, interval=0.0, at_least=False):
        self.runs, self.epochs, self.steps = runs, epochs, steps
        self.interval, self.more = interval, "+" if at_least else ""
        self.console = Console(stderr=True, soft_wrap=True, highlight=False)
        self.bar = None
        if self.console.is_terminal:
            self.bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.percentage:>3.0f} %, {task.fields[left]}"),
                console=self.console,
                transient=True,
            )
            self.task = self.bar.add_task("starting", total=runs * epochs, left="")
        self.run = 0  # the runs begun
        self.done = 0.0  # epochs of the runs that are over
        self.inside = 0.0  # epochs of the present run
        self.pace = _Pace()
        self.last_line = -float("inf")

    def __enter__(self):
        if self.bar:
            self.bar.start()
        return self

    def __exit__(self, *exception):
        if self.bar:
            self.bar.stop()

    def extend(self, runs, why):
        """There will be that many more runs than were planned, and the reason."""
        self.runs += runs
        self.note(f"{why}: {runs} more, {self.runs} runs in all so far")
        if self.bar:
            self.bar.update(self.task, total=self.runs * self.epochs)

    def begin(self, settings, record):
        """The next run, of these `Settings`, starts.

        `record` is what it left when it was run before, or None.
        """
        self.run += 1
        self.pace.begin()
        self.label = settings.label
        self.settings = settings.to_json()
        self.reached = ""
        self.inside = 0.0
        self.present = bool(record and record["status"] != "running")
        self._show()

    def resume(self, epochs):
        self.inside = float(epochs)
        self.note(f"{self.label}: going on after epoch {epochs} of {self.epochs}")

    def step(self, step):
        # The rest of the epoch is its evaluation.
        self._move(int(self.inside) + step / (self.steps + 1))
        self._show()

    def epoch(self, numbers):
        self._move(float(numbers["epoch"]))
        score = tasks.score(self.settings)
        train = score.text(numbers[f"train_{score.metric}"])
        self.reached = f", train {train}, {self._judged(numbers)}"
        self._show()
        now = time.monotonic()
        if not self.bar and now - self.last_line >= self.interval:
            self.last_line = now
            self._line(f"epoch {numbers['epoch']}/{self.epochs}{self.reached}")

    def end(self, record):
        """The present run is over, or was before."""
        self.done += self.epochs
        self.inside = 0.0
        last = record["epochs"][-1] if record["epochs"] else {}
        if record["status"] == "failed":
            text = f"failed: {record.get('failure', 'no reason given')}"
        else:
            text = self._judged(last, name=True)
        if self.present:
            text += " (done before, not repeated)"
        self._line(text)
        self._show()

    def warn(self, line):
        self.note(f"warning: {line}")

    def note(self, line):
        self.console.print(line, markup=False)

    def time_left(self):
        """The seconds that remain at the pace so far, or None where it is unknown."""
        epochs = self.runs * self.epochs - self.done - self.inside
        return self.pace.estimate(epochs, self.runs - self.run)

    def _judged(self, numbers, name=False):
        """The score on the part of the data that the run is judged on, and its name."""
        score, part = tasks.score(self.settings), record_contents.part(self.settings)
        title = f" {score.title}" if name else ""
        return f"{part}{title} {score.text(numbers.get(f'{part}_{score.metric}'))}"

    def _move(self, inside):
        self.pace.add(inside - self.inside)
        self.inside = inside

    def _line(self, text):
        left = duration(self.time_left())
        place = f"[{self.run}/{self.runs}{self.more}]"
        over = self.run == self.runs and self.inside == 0 and self.done
        self.note(
            f"{place} {self.label}: {text}" + ("" if over else left and f" ({left})")
        )

    def _show(self):
        if self.bar:
            epoch = min(int(self.inside) + 1, self.epochs)
            self.bar.update(
                self.task,
                completed=self.done + self.inside,
                description=f"{self.label}, epoch {epoch}/{self.epochs}{self.reached}",
                left=duration(self.time_left()),
            )


class _Pace:
    """How long a run takes to start, and an epoch to train.

    Kept apart, since building and compiling can take longer than an epoch.
    """

    def __init__(self):
        self.starts, self.start_seconds = 0, 0.0
        self.epochs, self.epoch_seconds = 0.0, 0.0

    def begin(self):
        self.starting = True
        self.last = time.monotonic()

    def add(self, epochs):
        now = time.monotonic()
        if self.starting:
            self.starting = False
            self.starts += 1
            self.start_seconds += now - self.last
        else:
            self.epochs += epochs
            self.epoch_seconds += now - self.last
        self.last = now

    def estimate(self, epochs, runs):
        if not self.epochs:
            return None
        starts = runs * self.start_seconds / self.starts
        return starts + epochs * self.epoch_seconds / self.epochs


def duration(seconds):
    """`seconds` as a reader wants it: "about 40 s left"; "" where unknown."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} min left"
    return f"about {minutes // 60} h {minutes % 60:02d} min left"
