"""The command line: one command a file, each imported only when it is called.

Exit codes: 0 done; 1 done, and faults were found (validate, repair, chain, store check and profile check); 2 the input
or the arguments cannot be used: one message on stderr, nothing written. 130 interrupted. 70 a fault of gridgis itself.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, TextIO

import click

from gridgis import __version__
from gridgis.errors import GridgisError, GridgisWarning

_COMMANDS = {
    "demo": "看示范：造样例、跑全程、开地图。The sample, every step, and its map.",
    "sample": "写出示范街道。Write the invented sub-district.",
    "build": "按项目文件跑全程。The whole job from a project file.",
    "osm": "从 OSM 提取道路、楼栋、小区、水面。Layers out of an OSM extract.",
    "estimate": "估算居民楼户数。Estimate households of residential buildings.",
    "blocks": "切分街坊。Cut the ground into blocks.",
    "partition": "均衡划分网格。Share blocks out into grids of even load.",
    "rebalance": "只重划几个网格。Share some grids of a plan out anew, leave the others.",
    "validate": "检查铺满、无重叠。Check that grids tile the ground.",
    "repair": "修补重叠、空隙、越界。Mend overlaps, gaps, what lies outside.",
    "adopt": "现有网格变成街坊方案。Make a plan of blocks out of grids that exist.",
    "diff": "比较两个方案。Compare two plans.",
    "describe": "四至、沿路比例、负荷。Bounds text, border share, load.",
    "assign": "房屋、楼栋、人员落格。Put houses, buildings and persons in their grids.",
    "chain": "人房户格链条。The chain person, house, building, grid.",
    "patrol": "巡查覆盖与达标。Patrol coverage and the rules kept or missed.",
    "boards": "印制公示牌 PDF。Boards as PDF, to be printed.",
    "export": "从库中导出图层。Write a layer of a store to a file.",
    "store": "库：建立、检查、升级、备份、恢复。Make, check, back up, restore and copy a store.",
    "user": "库的用户：添加、列出、角色、口令、停用。Users of a store: their roles and passwords.",
    "serve": "打开地图网站。Open the public map.",
    "publish": "把公开地图写成一个文件夹。The public map as a folder of files.",
    "profile": "查看各地规则。The rules of a locality.",
}


class _Lazy(click.Group):
    """A group whose commands are imported when called, and listed in the order of the work."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = import_module(f"gridgis.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("命令 Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gridgis")
def cli() -> None:
    """网格划分、检查、落格、巡查与公示。

    Draw, check, assign, patrol and publish the grids of a sub-district.
    """


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, GridgisWarning):
        click.echo(f"gridgis: {_both('注意', 'warning', message)}", err=True)


def _both(kind: str, english: str, told: GridgisError | Warning | str) -> str:
    """What is told, in Chinese if there is a translation, and in English."""
    from gridgis.chinese import in_chinese

    chinese = in_chinese(told)
    if not chinese:
        return f"{kind} {english}: {told}"
    stop = "" if chinese.endswith(("。", "？")) else "。"
    return f"{kind}：{chinese}{stop}{english}: {told}"


def _fail(text: str, code: int) -> int:
    click.echo(f"gridgis: {text}", err=True)
    return code


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; no traceback reaches the user (unless GRIDGIS_DEBUG is set)."""
    warnings.simplefilter("always", GridgisWarning)
    warnings.showwarning = _show_warning
    try:
        result = cli.main(args=arguments, prog_name="gridgis", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f" ({context.command_path} --help)" if context else ""
        return _fail(f"{_both('错误', 'error', error.format_message())}{hint}", 2)
    except (click.Abort, KeyboardInterrupt):
        return _fail("已中断，原有文件未变。Interrupted; what was there is unchanged.", 130)
    except GridgisError as error:
        return _fail(_both("错误", "error", error), 2)
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123  the reader left; nothing more can be said to it
        return 0
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        return _fail(f"{_both('错误', 'error', error.strerror or str(error))}{where}", 2)
    except Exception as error:  # the last door: a fault of ours is told in one line, not as a traceback
        if os.environ.get("GRIDGIS_DEBUG"):
            raise
        return _fail(
            f"程序故障 a fault of gridgis: {type(error).__name__}: {error}. "
            "Set GRIDGIS_DEBUG=1 and run it again for the details to report.",
            70,
        )
    return result if isinstance(result, int) else 0


def main() -> NoReturn:
    """The console script."""
    sys.exit(run())
