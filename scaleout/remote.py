"""A candidate that a worker samples."""

from ..sampling.trajectory import Known, Progress, StepDone


class Remote(Progress):
    """It knows of its steps what its worker says, and x0 where that was fetched. site: see crew.Site, None once it is lost; local: the
    Trajectory that goes on in its place then."""

    def __init__(self, trajectory, site):
        self.site, self.local = site, None
        super().__init__(trajectory.candidate, Known())
        self.block = trajectory.block

    def begin(self, known):
        super().begin(known)
        if self.local:
            self.local.begin(known)

    def hear(self, told):
        """What its worker says of it after a step."""
        self.steps, self.guidance, self.guidance_after = told["steps"], told["guidance"], told["guidance_after"]
        self.reached = len(self.steps)
        self.last = StepDone(self.steps[-1], None, None) if self.steps else None
        self.failure = RuntimeError(told["failure"]) if "failure" in told else None
        if "result" in told:
            self.result = self._here(told["result"])
            self.see(told["x0"])

    def see(self, x0):
        """x0 of its last step."""
        if self.last:
            self.last = StepDone(self.last.step, self._here(x0), None)

    def come_here(self, trajectory):
        """Be this one from now on, which has done the same steps."""
        trajectory.known = self.known
        self.local, self.site = trajectory, None
        self.follow()

    def follow(self):
        """What has become of it here."""
        t = self.local
        self.last, self.steps, self.guidance, self.guidance_after = t.last, t.steps, t.guidance, t.guidance_after
        self.reached, self.result, self.failure = t.reached, t.result, t.failure

    def stop(self):
        """Its worker hears who goes on."""
        if self.local:
            self.local.stop()

    def _here(self, tensor):
        return tensor.to(self.candidate.noise.device)
