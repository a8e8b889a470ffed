"""The parts of moto that the local cloud is built on, untyped.

Moto's annotations describe its own classes; ours take their place, answer with more, and are put where moto looks for
its own. Held as ``Any``, they are checked where they are used: in the tests, against boto3.
"""

from __future__ import annotations

from typing import Any

import moto.core.responses
import moto.iam.models
import moto.sqs.models
from moto.core.authorization import ActionAuthenticatorMixin as _Authenticator
from moto.core.base_backend import BackendDict as _BackendDict
from moto.core.common_models import BaseModel as _BaseModel
from moto.core.responses import BaseResponse as _BaseResponse
from moto.ec2.models import EC2Backend as _EC2Backend
from moto.ec2.models import ec2_backends as _ec2_backends
from moto.ec2.models.amis import Ami as _Ami
from moto.ec2.models.core import TaggedEC2Resource as _TaggedEC2Resource
from moto.ec2.models.instances import Instance as _Instance
from moto.ec2.models.instances import InstanceState as _InstanceState
from moto.ec2.models.instances import Reservation as _Reservation
from moto.ec2.models.instances import StateReason as _StateReason
from moto.ec2.responses import EC2Response as _EC2Response
from moto.ec2instanceconnect.responses import Ec2InstanceConnectResponse as _ConnectResponse
from moto.events.models import events_backends as _events_backends
from moto.iam.models import iam_backends as _iam_backends
from moto.iam.responses import IamResponse as _IamResponse
from moto.sqs.models import Queue as _Queue
from moto.sqs.models import sqs_backends as _sqs_backends
from moto.sts.models import sts_backends as _sts_backends
from moto.sts.responses import TokenResponse as _TokenResponse

# Records of an account, by account and region (EC2) or partition (the others).
ec2_backends: Any = _ec2_backends
events_backends: Any = _events_backends
iam_backends: Any = _iam_backends
sqs_backends: Any = _sqs_backends
sts_backends: Any = _sts_backends
PARTITION = "aws"

# Classes that ours extend.
BaseResponse: Any = _BaseResponse
EC2Backend: Any = _EC2Backend
EC2Response: Any = _EC2Response
ConnectResponse: Any = _ConnectResponse
IamResponse: Any = _IamResponse
TokenResponse: Any = _TokenResponse
MotoInstance: Any = _Instance
TaggedEC2Resource: Any = _TaggedEC2Resource
MotoQueue: Any = _Queue

# Classes that we use.
Ami: Any = _Ami
Reservation: Any = _Reservation
InstanceState: Any = _InstanceState
StateReason: Any = _StateReason

# What our own is put into.
BackendDict: Any = _BackendDict
BaseModel: Any = _BaseModel
Authenticator: Any = _Authenticator
core_responses: Any = moto.core.responses
sqs_models: Any = moto.sqs.models
iam_models: Any = moto.iam.models
