"""A softphone of PJSIP: registers if asked to, sends text, rings, and prints what it was answered.

phone.py HOST USER PASSWORD GATEWAY GATEWAY_ID CAMERA REGISTERS: a program of its own, since a library may
be started once in a process.
"""

import json
import os
import sys
import time

import pjsua2 as pj

PATIENCE = 20.0


def tell(method: str, status: int) -> None:
    print(json.dumps({"method": method, "status": status}), flush=True)


class Account(pj.Account):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.registered = 0
        self.texted = 0

    def onRegState(self, prm: "pj.OnRegStateParam") -> None:  # noqa: N802
        self.registered = self.registered or int(prm.code)

    def onInstantMessageStatus(self, prm: "pj.OnInstantMessageStatusParam") -> None:  # noqa: N802
        self.texted = self.texted or int(prm.code)


class Call(pj.Call):  # type: ignore[misc]
    ended = 0

    def onCallState(self, prm: "pj.OnCallStateParam") -> None:  # noqa: N802
        info = self.getInfo()
        if info.state == pj.PJSIP_INV_STATE_DISCONNECTED:
            self.ended = int(info.lastStatusCode)


def main() -> None:
    host, user, password, gateway, gateway_id, camera, registers = sys.argv[1:]
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    settings = pj.EpConfig()
    settings.uaConfig.threadCnt = 0
    settings.logConfig.level = settings.logConfig.consoleLevel = 0
    endpoint.libInit(settings)
    endpoint.audDevManager().setNullDev()
    transport = pj.TransportConfig()
    transport.port = 5060
    transport.boundAddress = transport.publicAddress = host
    endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
    endpoint.libStart()

    own = pj.AccountConfig()
    own.idUri = f"sip:{user}@{user[:10]}"
    own.sipConfig.proxies.append(f"sip:{gateway}:5060;lr")
    own.sipConfig.authCreds.append(pj.AuthCredInfo("digest", "*", user, 0, password))
    own.regConfig.registrarUri = f"sip:{gateway_id}@{gateway_id[:10]}" if registers == "yes" else ""
    own.regConfig.retryIntervalSec = 0
    account = Account()
    account.create(own)

    def until(seen: "object") -> int:
        deadline = time.monotonic() + PATIENCE
        while not (status := seen()) and time.monotonic() < deadline:  # type: ignore[operator]
            endpoint.libHandleEvents(20)
        return int(status)

    if registers == "yes":
        tell("REGISTER", until(lambda: account.registered))
    buddy = pj.Buddy()
    there = pj.BuddyConfig()
    there.uri = f"sip:{gateway_id}@{gateway}"
    buddy.create(account, there)
    text = pj.SendInstantMessageParam()
    text.content = "hello"
    buddy.sendInstantMessage(text)
    tell("MESSAGE", until(lambda: account.texted))
    call = Call(account)
    call.makeCall(f"sip:{camera}@{gateway}", pj.CallOpParam(True))
    tell("INVITE", until(lambda: call.ended))
    endpoint.libDestroy()
    os._exit(0)  # the library's objects may not be taken apart after it


main()
