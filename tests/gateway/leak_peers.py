"""The two platforms of the leak proof: what the lower tells, what the upper asks and announces."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.gateway.apart import Apart
from tests.gateway.leak_plot import Plot
from tests.gateway.marked import SDP, XML, Message, Peer, authorization, sdp, tag_of


class Lower(Peer):
    """The platform below: registers, tells its catalog, answers, sends pictures."""

    def __init__(self, here: Apart, plot: Plot) -> None:
        super().__init__(
            here.network,
            plot.marks_below,
            name="lower",
            id=plot.lower_id,
            address=(plot.lower_host, 5060),
            gateway=(plot.addresses[plot.below], 5060),
            us=plot.ids[plot.below],
        )
        self.plot = plot
        self.shown: list[str] = []
        self.kept: list[str] = []
        self.guessed = ""
        self.items: dict[str, str] = {}  # as they are told, until somebody wants them anew
        self.catalog: Callable[[], list[str]] = lambda: []
        self.catalogs = 0
        self.notices: Callable[[Message], None] = lambda message: None  # of a broadcast
        self.scene = "first"
        self.alive = False
        self.answers["MESSAGE"] = self._asked
        self.media: Peer | None = None

    async def register(self, where: str) -> Message:
        uri = f"sip:{self.us}@{self.us[:10]}"
        call = self.mark(f"{where}, Call-ID")
        challenge = await self.ask(self._register(f"{where} (first)", uri, call, []))
        assert challenge is not None
        assert challenge.status == 401
        cnonce = self.mark(f"{where}, cnonce")
        proof = authorization(challenge, self.id, uri, cnonce)
        self.marks.known(f"lower: {where}, digest", proof.partition('response="')[2].partition('"')[0])
        done = await self.ask(self._register(where, uri, call, [f"Authorization: {proof}"]))
        assert done is not None
        assert done.status == 200, done.start
        return done

    def _register(self, where: str, uri: str, call: str, more: list[str]) -> bytes:
        return self.request("REGISTER", where, uri=uri, call_id=call, more=["Expires: 3600", *more])

    async def live(self) -> None:
        """Keepalives, until cancelled; the first one is full of markers."""
        marked = True
        while True:
            if self.alive:
                self.send(self.message("keepalive", self.keepalive(marked), plain=not marked))
                marked = False
            await asyncio.sleep(50 if self.alive else 1)

    def keepalive(self, marked: bool) -> str:
        extra = self.unknown("keepalive") if marked else ""
        faulty = (
            f"<Info><DeviceID>{self.mark('keepalive, Info/DeviceID')}</DeviceID></Info>" if marked else ""
        )
        return (
            f"<Notify><CmdType>Keepalive</CmdType><SN>7</SN><DeviceID>{self.id}</DeviceID>"
            f"<Status>OK</Status>{faulty}{extra}</Notify>"
        )

    def message(self, where: str, text: str, *, plain: bool = False) -> bytes:
        body = text.encode("gb18030")
        if not plain:
            return self.request("MESSAGE", where, body=body, content_type=XML)
        self._cseq += 1
        lines = [
            f"MESSAGE sip:{self.us}@{self.gateway[0]} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.contact};rport;branch=z9hG4bKplain{self._cseq}",
            f"From: <sip:{self.id}@{self.us[:10]}>;tag=plain{self._cseq}",
            f"To: <sip:{self.us}@{self.us[:10]}>",
            f"Call-ID: plain{self._cseq}",
            f"CSeq: {self._cseq} MESSAGE",
            "Max-Forwards: 70",
            f"Content-Type: {XML}",
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    # XML

    def unknown(self, where: str) -> str:
        """Elements that no command of ours names, known to the standard or to nobody, with attributes."""
        names = ("Password", "IPAddress", "Port", "CertNum", "EndTime", "ErrCode", "MAC", "SerialNumber")
        inner = "".join(f"<{name}>{self.mark(f'{where}, {name}')}</{name}>" for name in names)
        address = f"<IPAddress>{self.stray(f'{where}, a second IPAddress')}</IPAddress>"
        element = self.mark(f"{where}, name of an element")
        return (
            f'<{element} {self.mark(f"{where}, name of an attribute")}="{self.mark(f"{where}, attribute")}">'
            f"{self.words(f'{where}, unknown element')}</{element}>{inner}{address}"
            f"<Info><Secret>{self.words(f'{where}, Info')}</Secret></Info>"
            f"<ExtraInfo>{self.words(f'{where}, ExtraInfo')}</ExtraInfo>"
            f"<Extra><Deep><Deeper>{self.words(f'{where}, nested')}</Deeper></Deep></Extra>"
        )

    def item(self, id: str, *, shared: bool) -> str:
        """One Item with every column that there is, and much that is none; the same each time."""
        if id not in self.items:
            branch = self.plot.shared_branch if shared else self.plot.kept_branch
            self.items[id] = self._new_item(id, f"{self.id}/{branch}", shared=shared)
        return self.items[id]

    def named(self, id: str, parent: str, *, shared: bool) -> str:
        """An Item without much in it: a system, a group or an organisation."""
        if id not in self.items:
            name = self.words(f"name of {id}", crosses="CatalogBatch.rows.name" if shared else "")
            within = f"<ParentID>{parent}</ParentID>" if parent else ""
            group = f"<BusinessGroupID>{parent}</BusinessGroupID>" if parent == self.plot.group else ""
            self.items[id] = f"<Item><DeviceID>{id}</DeviceID><Name>{name}</Name>{within}{group}</Item>"
        return self.items[id]

    def _new_item(self, id: str, parent: str, *, shared: bool) -> str:
        where = f"item {'shared' if shared else 'kept'} {len(self.marks.planted)}"

        def column(name: str, *, words: bool = True) -> str:
            crosses = f"CatalogBatch.rows.{name}" if shared else ""
            place = f"{where}, {name}"
            return self.words(place, crosses=crosses) if words else self._place(place, crosses)

        columns = {
            "DeviceID": id,
            "Name": column("name"),
            "Manufacturer": column("manufacturer"),
            "Model": column("model"),
            "Owner": column("owner"),
            "CivilCode": self.marks.digits(
                f"{where}, civil_code", 8, crosses="CatalogBatch.rows.civil_code" if shared else ""
            ),
            "Block": column("block"),
            "Address": column("address"),
            "Parental": "0",
            "ParentID": parent,
            "SafetyWay": "0",
            "RegisterWay": "1",
            "Secrecy": "0",
            "Status": "ON",
            "Longitude": column("longitude", words=False),
            "Latitude": "2" + column("latitude", words=False)[2:],
            "Resolution": self.marks.text(
                f"{where}, resolution", crosses="CatalogBatch.rows.resolution" if shared else ""
            ),
        }
        listed = "".join(f"<{tag}>{value}</{tag}>" for tag, value in columns.items())
        group = f"<BusinessGroupID>{self.plot.group}</BusinessGroupID>"
        attribute = f'{self.mark(f"{where}, name of an attribute")}="{self.mark(f"{where}, attribute")}"'
        return f"<Item {attribute}>{listed}{group}{self.unknown(where)}</Item>"

    def _place(self, place: str, crosses: str) -> str:
        """Degrees with a marker behind the point."""
        return "11" + "." + self.marks.digits(place, 9, crosses=crosses)

    def page(self, sn: str, total: int, items: Iterable[str], where: str, *, dressed: bool) -> str:
        comment = f"<!-- {self.words(f'{where}, comment')} -->" if dressed else ""
        instruction = f"<?{self.mark(f'{where}, instruction')} {self.mark(f'{where}, its text')}?>"
        listed = list(items)
        return (
            f'<?xml version="1.0" encoding="GB2312" standalone="{self.mark(f"{where}, declaration")}"?>\r\n'
            f"<Response><CmdType>Catalog</CmdType><SN>{sn}</SN><DeviceID>{self.id}</DeviceID>{comment}"
            f"<SumNum>{total}</SumNum>{self.unknown(where)}"
            f'<DeviceList Num="{len(listed)}" {self.mark(f"{where}, attribute name")}='
            f'"{self.mark(f"{where}, attribute of the list")}">{"".join(listed)}</DeviceList>'
            f"{instruction if dressed else ''}</Response>\r\n"
        )

    # What we ask of it

    def _asked(self, message: Message) -> None:
        self.answer(message, 200, f"query {message.element('CmdType')}")
        kind, sn, target = (message.element(tag) for tag in ("CmdType", "SN", "DeviceID"))
        if kind == "Catalog":
            self.catalogs += 1
            items = self.catalog()
            half = len(items) // 2
            for at, part in enumerate((items[:half], items[half:])):
                where = f"catalog {self.catalogs}, page {at}"
                text = self.page(sn, len(items), part, where, dressed=at == 1)
                self.send(self.message(where, text))
        elif kind == "DeviceInfo":
            self.send(self.message("device info", self._info(sn, target)))
        elif kind == "DeviceStatus":
            self.send(self.message("device status", self._status(sn, target)))
        elif kind == "Broadcast":
            self.notices(message)

    def _info(self, sn: str, target: str) -> str:
        def w(name: str) -> str:
            return self.words(f"DeviceInfo {name}", crosses=f"DeviceInfo.{name}")

        channels = self.marks.digits("DeviceInfo channels", 9, crosses="DeviceInfo.channels")
        return (
            f"<?xml version='1.0' encoding='{self.mark('DeviceInfo, encoding of the declaration')}'?>"
            f"<Response><CmdType>DeviceInfo</CmdType><SN>{sn}</SN>"
            f"<DeviceID>{target}</DeviceID><!--{self.words('DeviceInfo, comment')}-->"
            f"<DeviceName>{w('name')}</DeviceName><Result>OK</Result>"
            f"<Manufacturer>{w('manufacturer')}</Manufacturer><Model>{w('model')}</Model>"
            f"<Firmware>{w('firmware')}</Firmware><Channel>{channels}</Channel>"
            f"{self.unknown('DeviceInfo')}</Response>\r\n"
        )

    def _status(self, sn: str, target: str) -> str:
        def w(name: str) -> str:
            return self.words(f"DeviceStatus {name}", crosses=f"DeviceStatus.{name}")

        alarm = f"<Item><DeviceID>{self.mark('DeviceStatus, alarm')}</DeviceID></Item>"
        alarms = f'<Alarmstatus Num="1">{alarm}</Alarmstatus>'
        return (
            f"<Response><CmdType>DeviceStatus</CmdType><SN>{sn}</SN><DeviceID>{target}</DeviceID>"
            f"<Result>OK</Result><Online>ONLINE</Online><Status>ERROR</Status><Reason>{w('reason')}</Reason>"
            f"<Encode>ON</Encode><Record>OFF</Record><DeviceTime>{w('device_time')}</DeviceTime>"
            f"{alarms}{self.unknown('DeviceStatus')}</Response>\r\n"
        )

    def alarm(self, source: str, where: str, *, crosses: bool) -> bytes:
        """A Notify of Alarm with all that there is, and much that is none."""
        sn = self.marks.number(f"{where}, SN")
        words = self.words(f"{where}, description", crosses="Alarm.description" if crosses else "")
        return self.message(
            where,
            f"<Notify><CmdType>Alarm</CmdType><SN>{sn}</SN><DeviceID>{source}</DeviceID>"
            f"<AlarmPriority>1</AlarmPriority><AlarmMethod>5</AlarmMethod>"
            f"<AlarmTime>2026-03-01T08:12:30</AlarmTime><AlarmDescription>{words}</AlarmDescription>"
            f"<Info><AlarmType>2</AlarmType><AlarmTypeParam><EventType>1</EventType>"
            f"<Path>{self.words(f'{where}, parameter')}</Path></AlarmTypeParam></Info>"
            f"{self.unknown(where)}</Notify>\r\n",
        )


class Upper(Peer):
    """The platform above: lets us register, asks, watches."""

    def __init__(self, here: Apart, plot: Plot) -> None:
        super().__init__(
            here.network,
            plot.marks_above,
            name="upper",
            id=plot.upper_id,
            address=(plot.upper_host, 5060),
            gateway=(plot.addresses[plot.above], 5060),
            us=plot.ids[plot.above],
        )
        self.realm = plot.upper_realm
        self.answers["REGISTER"] = self._registers
        self.registered = asyncio.Event()
        self.sn = 0

    def _registers(self, message: Message) -> None:
        if not message.get("Authorization"):
            challenge = (
                f'WWW-Authenticate: Digest realm="{self.realm}", nonce="{self.mark("nonce")}", '
                f'opaque="{self.mark("opaque")}", algorithm=MD5, qop="auth", '
                f'domain="sip:{self.stray("domain of the challenge")}", {self.mark("parameter")}="1"'
            )
            self.answer(message, 401, "challenge", more=[challenge])
            return
        more = ["Expires: 3600", f'Authentication-Info: nextnonce="{self.mark("nextnonce")}"']
        self.answer(message, 200, "registered", more=more)
        self.registered.set()

    def query(
        self, kind: str, target: str, where: str, *, root: str = "Query", more: str = "", tail: bool = True
    ) -> bytes:
        self.sn = self.marks.number(f"upper: {where}, SN")
        body = (
            f'<?xml version="1.0" encoding="{self.mark(f"{where}, declaration")}"?>\r\n'
            f'<{root} {self.mark(f"{where}, attribute name")}="{self.words(f"{where}, attribute")}">'
            f"<CmdType>{kind}</CmdType><SN>{self.sn}</SN><DeviceID>{target}</DeviceID>{more}"
            f"<StartTime>{self.mark(f'{where}, StartTime')}</StartTime>"
            f"<Info><ControlPriority>{self.mark(f'{where}, ControlPriority')}</ControlPriority></Info>"
            f"<ExtraInfo>{self.words(f'{where}, ExtraInfo')}</ExtraInfo>"
            f"<!-- {self.words(f'{where}, comment')} --></{root}>\r\n"
        )
        if tail:
            body += self.mark(f"{where}, tail")
        return self.request("MESSAGE", where, user=target, body=body.encode("gb18030"), content_type=XML)

    async def asks(self, kind: str, target: str, where: str) -> list[Message]:
        """Ask and return the status of the question, then every page of the answer."""
        status = await self.ask(self.query(kind, target, where))
        assert status is not None, where
        heard = [status]
        if status.status != 200:
            return heard
        sn = str(self.sn)
        while (
            page := await self.expect(lambda m: m.is_request and m.element("SN") == sn, seconds=15)
        ) is not None:
            heard.append(page)
            total = page.element("SumNum")
            if not total or sum(each.body.count(b"<Item>") for each in heard) >= int(total):
                break
        return heard

    def invite(
        self,
        channel: str,
        where: str,
        *,
        host: str,
        port: int,
        y: int,
        session: str = "Play",
        description: str = "",
        payloads: tuple[str, ...] = ("96 PS/90000",),
    ) -> bytes:
        body = sdp(
            self,
            where,
            host=host,
            port=port,
            y=y,
            direction="recvonly",
            user=channel,
            session=session,
            description=description,
            payloads=payloads,
        )
        subject = (
            f"Subject: {channel}:{self.marks.digits(f'upper: {where}, Subject y', 10)},"
            f"{self.id}:{self.mark(f'{where}, Subject receiver')}"
        )
        return self.request(
            "INVITE",
            where,
            user=channel,
            body=body,
            content_type=SDP,
            more=[subject, "Allow: INVITE, ACK, BYE"],
        )

    def within(
        self,
        invite: bytes,
        answer: Message,
        method: str,
        where: str,
        *,
        cseq: int = 0,
        body: bytes = b"",
        content_type: str = "",
    ) -> bytes:
        """A request in the dialog of `answer`."""
        asked = Message.read(invite)
        number = int(asked.get("CSeq").split()[0])
        return self.request(
            method,
            where,
            user=asked.start.partition("sip:")[2].partition("@")[0],
            call_id=asked.get("Call-ID"),
            from_tag=tag_of(asked.get("From")),
            to_tag=tag_of(answer.get("To")),
            cseq=number if method == "ACK" else cseq or number + 1,
            body=body,
            content_type=content_type,
        )


@dataclass(slots=True)
class Stage:
    """Everybody, up."""

    here: Apart
    plot: Plot
    lower: Lower
    upper: Upper
