// What the board says, by the language of the frontend; see locales/ for the nodes.

/** @type {Record<string, Record<string, string>>} */
export const LANGUAGES = {
  en: {
    board: "Candidates of the group", seed: "seed", image: "image", row: "row", step: "step", of: "of", living: "live", chosen: "chosen", left: "left after step",
    quality: "quality", nearest: "most like", distance: "distance", difference: "difference", plain: "first seeds", group: "this group",
    copy: "Copy seed", finish: "Finish this one", pin: "Pin", ban: "Ban", large: "Open large", compare: "Compare", click: "Click the one to compare it with.",
    close: "Close", waiting: "No look yet.", hidden: "Previews are off: pictures come when the run is done.",
    gone: "This run has no pictures, or they are no longer kept.", stopped: "The run was stopped.", linked: "is connected to another node: change it there.",
    scatter: "Quality against distance", distances: "Distances in the group", copied: "Copied:", later: "Set; the next run does it.", apply: "Apply", would: "In the look after step", others: "not in the run’s group",
    paused: "Paused: goes on by itself in", goOn: "Go on", like: "More like this",
  },
  zh: {
    board: "组的候选", seed: "种子", image: "图片", row: "行", step: "步", of: "/", living: "存活", chosen: "已选中", left: "离开于步",
    quality: "质量", nearest: "最相似", distance: "距离", difference: "差异", plain: "最前的种子", group: "本组",
    copy: "复制种子", finish: "只完成这一个", pin: "固定", ban: "排除", large: "放大", compare: "比较", click: "点击要与之比较的一个。",
    close: "关闭", waiting: "尚未查看。", hidden: "预览已关闭：运行结束后显示图片。",
    gone: "此次运行没有图片，或图片已不再保留。", stopped: "运行已停止。", linked: "已连接到其他节点：请在那里修改。",
    scatter: "质量与距离", distances: "组内距离", copied: "已复制：", later: "已设置；下次运行生效。", apply: "应用", would: "查看时的步", others: "个不在本次运行的组中",
    paused: "已暂停，自动继续倒计时", goOn: "继续", like: "更多类似的",
  },
  ja: {
    board: "グループの候補", seed: "シード", image: "画像", row: "行", step: "ステップ", of: "/", living: "残り", chosen: "選択", left: "離脱ステップ",
    quality: "品質", nearest: "最も近い", distance: "距離", difference: "差異", plain: "先頭のシード", group: "このグループ",
    copy: "シードをコピー", finish: "これだけ仕上げる", pin: "固定", ban: "除外", large: "拡大", compare: "比較", click: "比較する相手をクリックしてください。",
    close: "閉じる", waiting: "まだ確認していません。", hidden: "プレビューはオフです：画像は実行後に表示されます。",
    gone: "この実行には画像がないか、もう保持されていません。", stopped: "実行は停止されました。", linked: "は他のノードに接続されています：そちらで変更してください。",
    scatter: "品質と距離", distances: "グループ内の距離", copied: "コピーしました：", later: "設定しました。次の実行で反映されます。", apply: "適用", would: "選択時のステップ", others: "件は実行のグループにありません",
    paused: "一時停止中：自動再開まで", goOn: "続ける", like: "似たものをもっと",
  },
  ko: {
    board: "그룹 후보", seed: "시드", image: "그림", row: "행", step: "단계", of: "/", living: "남음", chosen: "선택됨", left: "탈락 단계",
    quality: "품질", nearest: "가장 비슷함", distance: "거리", difference: "차이", plain: "처음 시드", group: "이 그룹",
    copy: "시드 복사", finish: "이것만 완성", pin: "고정", ban: "제외", large: "크게 보기", compare: "비교", click: "비교할 것을 클릭하세요.",
    close: "닫기", waiting: "아직 확인하지 않았습니다.", hidden: "미리보기가 꺼져 있습니다: 그림은 실행 후에 나옵니다.",
    gone: "이 실행에는 그림이 없거나 더 이상 보관되지 않습니다.", stopped: "실행이 중지되었습니다.", linked: "은(는) 다른 노드에 연결되어 있습니다: 거기서 바꾸세요.",
    scatter: "품질과 거리", distances: "그룹 안의 거리", copied: "복사됨:", later: "설정했습니다. 다음 실행에 적용됩니다.", apply: "적용", would: "선택 시 단계", others: "개는 실행의 그룹에 없습니다",
    paused: "일시 정지: 자동으로 계속하기까지", goOn: "계속", like: "비슷한 것 더",
  },
  de: {
    board: "Kandidaten der Gruppe", seed: "Seed", image: "Bild", row: "Zeile", step: "Schritt", of: "von", living: "im Rennen", chosen: "gewählt", left: "ausgeschieden nach Schritt",
    quality: "Qualität", nearest: "am ähnlichsten", distance: "Abstand", difference: "Unterschied", plain: "erste Seeds", group: "diese Gruppe",
    copy: "Seed kopieren", finish: "Dieses fertigstellen", pin: "Festhalten", ban: "Ausschließen", large: "Groß öffnen", compare: "Vergleichen", click: "Klicken Sie an, womit verglichen wird.",
    close: "Schließen", waiting: "Noch nicht angesehen.", hidden: "Vorschauen sind aus: Bilder kommen, wenn der Lauf fertig ist.",
    gone: "Dieser Lauf hat keine Bilder, oder sie sind nicht mehr da.", stopped: "Der Lauf wurde angehalten.", linked: "ist mit einem anderen Knoten verbunden: dort ändern.",
    scatter: "Qualität gegen Abstand", distances: "Abstände in der Gruppe", copied: "Kopiert:", later: "Eingetragen; gilt ab dem nächsten Lauf.", apply: "Übernehmen", would: "Bei der Auswahl nach Schritt", others: "nicht in der Gruppe des Laufs",
    paused: "Angehalten: geht von selbst weiter in", goOn: "Weiter", like: "Mehr wie dieses",
  },
  fr: {
    board: "Candidats du groupe", seed: "graine", image: "image", row: "ligne", step: "étape", of: "sur", living: "en lice", chosen: "choisi", left: "écarté après l’étape",
    quality: "qualité", nearest: "le plus proche", distance: "distance", difference: "différence", plain: "premières graines", group: "ce groupe",
    copy: "Copier la graine", finish: "Terminer celui-ci", pin: "Épingler", ban: "Exclure", large: "Agrandir", compare: "Comparer", click: "Cliquez sur celui à comparer.",
    close: "Fermer", waiting: "Rien n’a encore été regardé.", hidden: "Les aperçus sont désactivés : les images viennent à la fin.",
    gone: "Cette exécution n’a pas d’images, ou elles ne sont plus conservées.", stopped: "L’exécution a été arrêtée.", linked: "est relié à un autre nœud : modifiez-le là-bas.",
    scatter: "Qualité et distance", distances: "Distances dans le groupe", copied: "Copié :", later: "Réglé ; pris en compte à la prochaine exécution.", apply: "Appliquer", would: "Au choix après l’étape", others: "absents du groupe de l’exécution",
    paused: "En pause : reprend automatiquement dans", goOn: "Continuer", like: "D’autres comme celle-ci",
  },
};

/**
 * A function from keys to words in a language such as "de" or "zh-TW", in English where there are none.
 * @param {string | undefined} language
 * @returns {(key: string) => string}
 */
export function wordsIn(language) {
  const own = LANGUAGES[String(language).split("-")[0]] ?? LANGUAGES.en;
  return (key) => own[key] ?? LANGUAGES.en[key];
}
