"""Whose the followed faces are: the encoder is asked now and then, and when something changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from models.inference.arrays import Embedding
from models.inference.finding.detections import overlap
from models.inference.finding.face_mesh import MeshedFace
from models.inference.finding.identity_encoder import cosine_similarity
from models.inference.finding.people import (
    CLEARLY_BETTER,
    OTHER_PERSON,
    SAME_MOMENT,
    SAME_PERSON,
    Match,
    PeopleGallery,
    Person,
)
from models.inference.finding.tracks import (
    ASK_CHANGED_S,
    ASK_DOUBT_S,
    ASK_EVERY_S,
    Track,
    touching,
)
from models.inference.frames.frame import Frame

SAME_PLACE = 0.3  # overlap of a face with where somebody was lost in the same shot
UNSURE_LOOKS = 5  # at someone who may be one of two people, before that stays open


@dataclass(frozen=True)
class Recognition:
    """Settles whose face each track follows, with everyone known of one video.

    With `ask_every_s` 0 every face is recognised in every frame. `tracks` are all those of the
    current frame: nobody is in a frame twice, except in a mirror.
    """

    gallery: PeopleGallery
    ask_every_s: float = ASK_EVERY_S

    def identify(
        self, face: MeshedFace, view: Embedding, tracks: Sequence[Track], shot: int
    ) -> Person:
        """Return whom a face that just appeared belongs to, met now where nobody known fits."""
        match = self._match(view, tracks)
        if match.person is not None and match.is_sure:
            return match.person

        lost = [person for person in self._absent(tracks) if _was_here(person, face, shot)]
        here = self.gallery.match(view, lost)

        if here.person is not None and not here.is_nobody:
            return here.person

        unsure = None if match.is_nobody else match.person
        return self.gallery.meet(view, unsure.person_id if unsure else None)

    def _match(self, view: Embedding, tracks: Sequence[Track]) -> Match:
        """Return who a view is most like; who is in the frame already, only as in a mirror."""
        present = self.gallery.match(view, [track.person for track in tracks])
        if present.cosine >= SAME_MOMENT:
            return present

        return self.gallery.match(view, self._absent(tracks))

    def _absent(self, tracks: Sequence[Track]) -> list[Person]:
        tracked = {track.person.person_id for track in tracks}
        return [person for person in self.gallery.people() if person.person_id not in tracked]

    def review(self, frame: Frame, time_s: float, tracks: list[Track]) -> None:
        """Ask the encoder about the faces that may not be who they were.

        Where someone else's face turns out to be followed, their new track takes the old one's
        place in `tracks`.
        """
        for index, track in enumerate(tracks):
            _note_touching(track, tracks, time_s)
            is_unsure = track.person.resembles is not None and track.looks < UNSURE_LOOKS
            since_s = time_s - track.asked_s

            # Times of frames are rounded: a millisecond short of it is due as well.
            if is_unsure and since_s >= ASK_DOUBT_S - 1e-3:
                self._look_again(frame, track, time_s, tracks)
            elif since_s > 0 and track.is_due(time_s, self.ask_every_s):
                tracks[index] = self._settle(frame, track, time_s, tracks)

    def _look_again(
        self, frame: Frame, track: Track, time_s: float, tracks: Sequence[Track]
    ) -> None:
        """Look once more at someone who may be one of two people: several views say more."""
        view = self._ask(frame, track, time_s)
        track.looks += 1
        self.gallery.learn(track.person, view)
        track.view = track.person.embedding
        match = self.gallery.match(track.view, self._absent(tracks))

        if match.person is not None and match.is_sure:
            track.person = match.person
        elif match.is_nobody:
            track.person.resembles = None

    def _settle(self, frame: Frame, track: Track, time_s: float, tracks: Sequence[Track]) -> Track:
        """Return the track itself where a new view confirms it, else the one that goes on."""
        view = self._ask(frame, track, time_s)
        own = cosine_similarity(view, track.person.embedding)

        if track.is_confirmed_by(view):
            track.view = view
            track.confirm(time_s)

            if own >= SAME_PERSON:
                self.gallery.learn(track.person, view)
                if self.gallery.is_learning(track.person):
                    track.note_view(view)

            return track

        track.doubt(track.surely_until_s)
        is_other = own < OTHER_PERSON or track.is_contradicted_by(view)
        was_other = track.was_other
        track.was_other = is_other
        track.view = view
        mixed = self.gallery.match(view, track.mixed_with)

        if mixed.person is not None and mixed.cosine >= max(OTHER_PERSON, own + CLEARLY_BETTER):
            return _handed_over(track, mixed.person, view, time_s)

        match = self._match(view, tracks)
        if match.person is not None and match.person is not track.person and match.is_sure:
            return _handed_over(track, match.person, view, time_s)
        # One view that contradicts may be a bad one; two in a row are somebody else's.
        if is_other and was_other:
            unsure = match.person if not match.is_nobody else None
            person = self.gallery.meet(view, unsure.person_id if unsure else None)
            return _handed_over(track, person, view, time_s)

        return track

    def _ask(self, frame: Frame, track: Track, time_s: float) -> Embedding:
        track.asked_s = time_s
        track.asked_look = track.face.look
        return self.gallery.look(frame, track.face.landmarks)


def _was_here(person: Person, face: MeshedFace, shot: int) -> bool:
    return person.shot == shot and overlap(face.box, person.box) > SAME_PLACE


def _note_touching(track: Track, tracks: Sequence[Track], time_s: float) -> None:
    others = touching(track, tracks)
    if others and time_s - track.confirmed_s >= ASK_CHANGED_S:
        track.mixed_with = [other.person for other in others]
        track.doubt(track.confirmed_s)


def _handed_over(track: Track, person: Person, view: Embedding, time_s: float) -> Track:
    """Return a new track for another person; the old one stays in doubt from there on."""
    new = Track(person, track.face, view, human=track.human, asked_s=time_s)
    new.asked_look = track.face.look
    new.confirm(time_s)
    return new
