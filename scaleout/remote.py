"""A candidate that a worker samples."""

from ..sampling.trajectory import Known, StepDone


class Remote:
    """As trajectory.Trajectory. It knows of its steps what its worker says, and x0 where that was fetched. site: see crew.Site, None once it
    is lost; local: the Trajectory that goes on in its place then."""

    def __init__(self, trajectory, site):
        self.candidate, self.block, self.site, self.local = trajectory.candidate, trajectory.block, site, None
        self.result = self.failure = None
        self.reached = 0
        self.begin(Known())

    def begin(self, known):
        self.known, self.last, self.steps = known, None, []
        self.guidance, self.guidance_after = 0.0, []
        if self.local:
            self.local.begin(known)

    def remember(self):
        """Go on by a step that is known, if there is one; whether there was."""
        at = len(self.steps)
        if at >= len(self.known.steps):
            return False
        self.last, self.guidance = self.known.steps[at], self.known.guidance[at]
        self.steps.append(self.last.step)
        self.guidance_after.append(self.guidance)
        return True

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

    @property
    def x0(self):
        return self.last.x0 if self.last else self.result

    @property
    def over(self):
        return self.result is not None or self.failure is not None

    def stop(self):
        """Its worker hears who goes on."""
        if self.local:
            self.local.stop()

    def _here(self, tensor):
        return tensor.to(self.candidate.noise.device)
