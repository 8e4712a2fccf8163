"""Agents as far as the server knows them: a key that joined, logs in, waits and reports, without the program."""

import base64
import http.client
import json

import authorities
from server import REGION
from sessions import policy
from test_rolesanywhere_sessions import World
from workloads import Refused, Workload


class Home(World):
    """A private CA for agents' certificates, a trust anchor of it, a role and its profile."""

    def token(self, **more):
        where = self.where
        arns = {"RoleArn": where["roleArn"], "TrustAnchorArn": where["trustAnchorArn"], "ProfileArn": where["profileArn"]}
        return self.server.client("keystead").create_join_token(**(arns | more))

    def may(self, *actions, resource="*"):
        """Gives the role these rights and no others."""
        rights = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
        self.iam.put_role_policy(RoleName=self.name, PolicyName="rights", PolicyDocument=policy(rights))

    def join(self, token=None, **more):
        return Agent.join(self.server, token or self.token()["Token"], **more)


class Agent:
    """One that joined."""

    def __init__(self, server, identity, key):
        self.server, self.identity, self.key = server, identity, key
        self.arn = identity["AgentArn"]

    @classmethod
    def join(cls, server, token, key=None, **more):
        csr, key = authorities.request("ignored", key)
        answer = server.client("keystead").join_agent(Token=token, Csr=csr, **more)
        return cls(server, answer["Identity"], key)

    @property
    def certificate(self):
        return authorities.parse(self.identity["Certificate"])

    @property
    def workload(self):
        return Workload(self.server, self.certificate, self.key)

    def renew_agent_certificate(self, csr, arn=None, **signing):
        """The answer, or `Refused`."""
        body = json.dumps({"AgentArn": arn or self.arn, "Csr": base64.b64encode(csr).decode()}).encode()
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "Keystead_20261101.RenewAgentCertificate",
        }
        headers = self.workload.request("/", body, service="keystead", more=headers, **signing)
        connection = http.client.HTTPConnection(self.server.host, timeout=30)
        try:
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            said = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise Refused(answer.status, said["__type"], said.get("message") or said.get("Message"))
        return said

    def renew(self):
        csr, key = authorities.request("ignored")
        identity = self.renew_agent_certificate(csr)["Identity"]
        return Agent(self.server, identity, key)

    def client(self, service, region=REGION):
        """A client with credentials of the agent's role."""
        where = {
            "profileArn": self.identity["ProfileArn"],
            "roleArn": self.identity["RoleArn"],
            "trustAnchorArn": self.identity["TrustAnchorArn"],
        }
        session = self.workload.create_session(where)
        given = session["credentialSet"][0]["credentials"]
        return self.server.client(
            service,
            region,
            key_id=given["accessKeyId"],
            secret=given["secretAccessKey"],
            token=given["sessionToken"],
        )
